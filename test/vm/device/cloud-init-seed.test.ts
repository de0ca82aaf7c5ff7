import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { checkSeedOptions, type SeedSettings, seedFiles, writeSeed } from '../../../src/vm/device/cloud-init-seed.ts';

const settings: SeedSettings = {
  instanceId: 'abc',
  hostname: 'web',
  users: ['ada'],
  sshKeys: ['ssh-ed25519 AAAA ada@home'],
  arch: 'x86_64',
};

function contentOf(name: string, of: SeedSettings): Buffer {
  const file = seedFiles(of).find((candidate) => candidate.name === name);
  assert.ok(file);
  return file.content;
}

/** The archive's parts, and the cloud-config in the first. */
function vendor(of: SeedSettings): { config: Record<string, unknown>; script: string } {
  const [header, ...rest] = contentOf('vendor-data', of).toString().split('\n');
  assert.equal(header, '#cloud-config-archive');
  const parts = JSON.parse(rest.join('\n')) as { type: string; content: string }[];
  const config = JSON.parse((parts[0]?.content ?? '').replace('#cloud-config\n', '')) as Record<string, unknown>;
  return { config, script: parts[1]?.content ?? '' };
}

test('user data is passed on byte for byte, with its line ends and bytes that are no text', () => {
  const crlf = '#cloud-config\r\npackages:\r\n- vim\r\n\r\n';
  assert.deepEqual(contentOf('user-data', { ...settings, userData: crlf }), Buffer.from(crlf));
  const binary = Buffer.from([0x23, 0x21, 0x2f, 0x62, 0x00, 0xff, 0xfe, 0x80, 0x0a]);
  assert.deepEqual(contentOf('user-data', { ...settings, userData: binary }), binary);
  const gzipped = Buffer.from([0x1f, 0x8b, 0x08, 0x00]);
  assert.deepEqual(contentOf('user-data', { ...settings, userData: gzipped }), gzipped);
});

test('user data that cloud-init would ignore is refused with its first line', () => {
  for (const userData of ['packages: [vim]\n', ' #cloud-config\n', '\ufeff#cloud-config\n', '# cloud-config\n'])
    assert.throws(() => seedFiles({ ...settings, userData }), { code: 'invalid', message: /begins with/ }, userData);
  for (const userData of [
    '#cloud-config\n',
    '#!/bin/sh\n',
    '#include\nhttp://x\n',
    'Content-Type: multipart/mixed; boundary=x\n',
    '#cloud-boothook\n',
    '## template: jinja\n#cloud-config\n',
  ])
    assert.equal(contentOf('user-data', { ...settings, userData }).toString(), userData);
});

test('the VM’s host name, users with sudo and keys are in the seed', () => {
  assert.deepEqual(JSON.parse(contentOf('meta-data', settings).toString()), {
    'instance-id': 'abc',
    'local-hostname': 'web',
    'public-keys': settings.sshKeys,
  });
  const { config } = vendor(settings);
  assert.equal(config['hostname'], 'web');
  assert.deepEqual(config['users'], [
    'default',
    { name: 'ada', sudo: 'ALL=(ALL) NOPASSWD:ALL', lock_passwd: true, ssh_authorized_keys: settings.sshKeys },
  ]);
});

test('no string of a user’s gets out of its place in the documents', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }), fc.string({ unit: 'binary' }), (sshKeys, hostname) => {
      const odd = { ...settings, users: [], sshKeys, hostname };
      const meta = JSON.parse(contentOf('meta-data', odd).toString()) as Record<string, unknown>;
      assert.equal(meta['local-hostname'], hostname.toWellFormed());
      assert.deepEqual(
        vendor(odd).config['ssh_authorized_keys'] ?? [],
        sshKeys.map((key) => key.toWellFormed()),
      );
      // YAML 1.1 has no such characters, and ends a line at some of them.
      assert.doesNotMatch(contentOf('vendor-data', odd).toString(), /[\u007f-\u009f\u2028\u2029\ufeff]/);
    }),
  );
});

test('a user’s name is one word of the script, whatever is in it', () => {
  assert.match(vendor({ ...settings, users: ["a'; reboot #"] }).script, /usermod -s \/bin\/bash 'a'\\''; reboot #' \|\| true/);
});

test('the seed is an ISO file with the label that NoCloud looks for, and nothing is left beside it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-seed-'));
  try {
    await writeSeed(join(folder, 'seed.iso'), settings, { signal: AbortSignal.timeout(60_000) });
    assert.deepEqual(await readdir(folder), ['seed.iso']);
    assert.ok((await stat(join(folder, 'seed.iso'))).size > 32 * 1024);
    const { readFile } = await import('node:fs/promises');
    const volume = (await readFile(join(folder, 'seed.iso'))).toString('latin1', 32768 + 40, 32768 + 72).trim();
    assert.equal(volume, 'CIDATA');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('users in the user data would replace those that are asked for, so both are refused, also compressed', () => {
  const text = '#cloud-config\nusers:\n  - name: bob\n';
  for (const given of [
    { userData: text },
    { userData: '#cloud-config-archive\n- content: |\n    #cloud-config\n    users: []\n' },
    { userDataBase64: gzipSync(text).toString('base64') },
  ]) {
    assert.throws(() => checkSeedOptions({ ...given, users: ['ana'] }), { code: 'invalid', message: /list of users/ });
    checkSeedOptions({ ...given, users: [] });
  }
  checkSeedOptions({ userData: '#cloud-config\npackages: [users]\n', users: ['ana'] });
  checkSeedOptions({ userData: '#!/bin/sh\nusers:\n', users: ['ana'] });
});

test('a network configuration is on the seed as it is, and one that cloud-init would ignore is refused', () => {
  const networkConfig = 'network:\r\n  version: 2\n';
  assert.equal(contentOf('network-config', { ...settings, networkConfig }).toString(), networkConfig);
  assert.ok(!seedFiles(settings).some(({ name }) => name === 'network-config'));
  for (const text of ['version: 2\n', '{"version": 1}', networkConfig]) checkSeedOptions({ networkConfig: text, users: [] });
  for (const text of ['', 'eth0: dhcp\n', '  version: 2\n'])
    assert.throws(() => checkSeedOptions({ networkConfig: text, users: [] }), { code: 'invalid', message: /would ignore/ }, text);
});
