import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { backingFile, unusedFiles } from '../../src/storage/chain.ts';
import { writeOverlay } from '../../src/storage/overlay.ts';

const folder = await mkdtemp(join(tmpdir(), 'viv-overlay-'));
after(() => rm(folder, { recursive: true, force: true }));
const run = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: 'utf8', timeout: 60_000 });
const KiB64 = 65536;
const sector = 512;
const GiB = 2 ** 30;

for (const size of [KiB64, 528 * 1024, GiB, 10 * GiB + 12345, 2048 * GiB, 16 * 1024 * GiB, 64 * 1024 * GiB]) {
  test(`an overlay of ${size} bytes is what qemu-img would have made`, async () => {
    const rounded = Math.ceil(size / sector) * sector;
    const [base, ours, theirs] = [join(folder, `${size}.base`), join(folder, `${size}.ours`), join(folder, `${size}.theirs`)];
    await writeOverlay(base, { backing: null, backingFormat: 'qcow2', sizeBytes: size });
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 4k', base);
    await writeOverlay(ours, { backing: base, backingFormat: 'qcow2', sizeBytes: size });
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, theirs, String(rounded));
    const info = (file: string) => JSON.parse(run('qemu-img', 'info', '-f', 'qcow2', '--output=json', file));
    const [a, b] = [info(ours), info(theirs)];
    for (const key of ['virtual-size', 'full-backing-filename', 'backing-filename-format', 'cluster-size'])
      assert.equal(a[key], b[key], key);
    assert.deepEqual(await backingFile(ours), { backing: base, sizeBytes: rounded });
    assert.deepEqual(await backingFile(theirs), { backing: base, sizeBytes: rounded });
    run('qemu-img', 'check', '-q', '-f', 'qcow2', ours);
    if (size < 20 * GiB) run('qemu-img', 'compare', '-q', '-f', 'qcow2', '-F', 'qcow2', ours, base);
    run(
      'qemu-io',
      '-f',
      'qcow2',
      '-c',
      'read -P 7 0 4k',
      '-c',
      `write -P 9 ${rounded - 4096} 4k`,
      '-c',
      `read -P 9 ${rounded - 4096} 4k`,
      ours,
    );
    run('qemu-img', 'check', '-q', '-f', 'qcow2', ours);
    assert.equal((await stat(ours)).mode & 0o777, 0o600);
  });
}

test('a backing path that a qcow2 cannot hold is refused, and nothing is left', async () => {
  const before = await readdir(folder);
  await assert.rejects(writeOverlay(join(folder, 'long'), { backing: `/${'x'.repeat(1023)}`, backingFormat: 'raw', sizeBytes: GiB }), {
    code: 'invalid',
    message: /1024 bytes/,
  });
  assert.deepEqual(await readdir(folder), before);
});

test('a file that is no qcow2 is reported as corrupt', async () => {
  for (const content of ['', 'text', Buffer.alloc(4096)]) {
    await writeFile(join(folder, 'text'), content);
    await assert.rejects(backingFile(join(folder, 'text')), { code: 'corrupt' });
  }
});

test('files that no root stands on are unused, and a loop is reported', () => {
  const backing: Record<string, string> = { b: 'a', c: 'b', d: 'b', e: 'd' };
  const of = (file: string) => backing[file] ?? null;
  assert.deepEqual(unusedFiles(['a', 'b', 'c', 'd', 'e'], ['c'], of), ['d', 'e']);
  assert.deepEqual(unusedFiles(['a', 'b', 'c', 'd', 'e'], ['c', 'e'], of), []);
  assert.deepEqual(unusedFiles(['a', 'b'], [], of), ['a', 'b']);
  assert.throws(() => unusedFiles(['x', 'y'], ['x'], (file) => (file === 'x' ? 'y' : 'x')), { code: 'corrupt' });
});
