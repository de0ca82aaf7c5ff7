// Files for cloud-init arrive byte for byte: text as text, anything else in Base64, also from standard input.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { vm } from '../api/toy.ts';
import { type FakeServer, fakeServer, Work } from './fake-server.ts';
import { viv } from './run-viv.ts';

const create = async (server: FakeServer, args: string[], input?: string | Buffer) => {
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms', () => new Work([{ state: 'done', output: vm('web') }]));
  const done = await viv(server.stateDirectory, ['create', 'tiny', '--no-ssh-keys', ...args], input === undefined ? {} : { input });
  return { ...done, body: server.asked.find(({ path }) => path === '/v1/vms')?.body };
};

test('user data that is no text travels as Base64, from a file and from standard input', async () => {
  const bytes = gzipSync('#cloud-config\n{}\n');
  for (const input of [undefined, bytes]) {
    await using server = await fakeServer();
    const file = join(server.stateDirectory, 'data.gz');
    await writeFile(file, bytes);
    const { code, stderr, body } = await create(server, ['--user-data', input === undefined ? file : '-'], input);
    assert.equal(code, 0, stderr);
    assert.deepEqual(body, { image: 'tiny', userDataBase64: bytes.toString('base64') });
  }
});

test('a network configuration travels as it is; both from standard input is refused', async () => {
  await using server = await fakeServer();
  const text = 'version: 2\nethernets:\n  eth0: {dhcp4: true}\n';
  const { code, stderr, body } = await create(server, ['--network-config', '-'], text);
  assert.equal(code, 0, stderr);
  assert.deepEqual(body, { image: 'tiny', networkConfig: text });
  const both = await create(server, ['--network-config', '-', '--user-data', '-'], text);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /cannot both be standard input/);
});
