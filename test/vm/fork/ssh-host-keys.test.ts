// SSH host keys that are made on the host, read by the real ssh-keygen.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateHostKeys } from '../../../src/vm/fork/ssh-host-keys.ts';

const missing = spawnSync('ssh-keygen', ['-?']).error ? 'ssh-keygen is not installed' : false;

function keygen(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync('ssh-keygen', words, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('ssh-keygen reads every key and finds the public part in the private one', { skip: missing, timeout: 240_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-keys-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const names = { ed25519: '256 .*\\(ED25519\\)', ecdsa: '256 .*\\(ECDSA\\)', rsa: '3072 .*\\(RSA\\)', dsa: '' };
  // Many of one kind: a number that begins with zeroes or with its first bit set is written differently.
  const keys = [
    ...(await generateHostKeys('root@web', ['ed25519', 'ecdsa', 'rsa'])),
    ...(await generateHostKeys(
      '',
      Array.from({ length: 20 }, () => 'ecdsa' as const),
    )),
  ];
  for (const { type, privateKey, publicKey } of keys) {
    const path = join(folder, 'key');
    await writeFile(path, privateKey, { mode: 0o600 });
    await writeFile(`${path}.pub`, publicKey);
    const read = keygen('-y', '-f', path).trim();
    assert.equal(read.split(' ').slice(0, 2).join(' '), publicKey.trim().split(' ').slice(0, 2).join(' '));
    assert.match(keygen('-l', '-f', path), new RegExp(names[type]));
    await rm(path);
  }
  assert.match(keys[0]?.publicKey ?? '', / root@web\n$/);
});

test('no two keys are alike, and a comment cannot bring a line of its own', async () => {
  const keys = (await Promise.all(Array.from({ length: 20 }, () => generateHostKeys('a b\nssh-rsa AAAA')))).flat();
  assert.equal(new Set(keys.map(({ publicKey }) => publicKey)).size, 40);
  for (const { publicKey } of keys) assert.match(publicKey, /^\S+ \S+ abssh-rsaAAAA\n$/);
});
