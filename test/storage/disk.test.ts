import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkDisk, convertDisk, createDisk, createOverlay, diskInfo, resizeDisk } from '../../src/storage/disk.ts';
import { freeSpace, requireSpace } from '../../src/storage/space.ts';

const folder = await mkdtemp(join(tmpdir(), 'viv-disk-'));
after(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const MiB = 1024 ** 2;

test('an overlay has the size that was asked for, refers to its image absolutely, and may be made twice', async () => {
  await createDisk(at('base.qcow2'), 8 * MiB);
  for (const _time of [1, 2]) await createOverlay(at('over.qcow2'), { backing: at('base.qcow2'), sizeBytes: 20 * MiB });
  const info = await diskInfo(at('over.qcow2'), 'qcow2');
  assert.equal(info.virtualBytes, 20 * MiB);
  assert.equal(info.backing, at('base.qcow2'));
  assert.ok(info.usedBytes < MiB);
});

test('an overlay without a size has its image’s', async () => {
  await createDisk(at('base2.qcow2'), 3 * MiB);
  await createOverlay(at('over2.qcow2'), { backing: at('base2.qcow2') });
  assert.equal((await diskInfo(at('over2.qcow2'), 'qcow2')).virtualBytes, 3 * MiB);
});

test('an overlay smaller than its image is refused, and nothing is left', async () => {
  await createDisk(at('base3.qcow2'), 8 * MiB);
  await assert.rejects(createOverlay(at('small.qcow2'), { backing: at('base3.qcow2'), sizeBytes: MiB }), { code: 'invalid' });
  await assert.rejects(stat(at('small.qcow2')));
});

test('an overlay of a file that is not there, or is no qcow2, says so', async () => {
  await assert.rejects(createOverlay(at('x.qcow2'), { backing: at('absent.qcow2') }), { code: 'not_found' });
  await writeFile(at('text'), 'hello'.repeat(1000));
  await assert.rejects(createOverlay(at('x.qcow2'), { backing: at('text'), sizeBytes: MiB }), { code: 'corrupt' });
});

test('a disk grows, growing to the size it has does nothing, and shrinking is refused', async () => {
  await createDisk(at('grow.qcow2'), 4 * MiB);
  for (const _time of [1, 2]) await resizeDisk(at('grow.qcow2'), 6 * MiB);
  assert.equal((await diskInfo(at('grow.qcow2'), 'qcow2')).virtualBytes, 6 * MiB);
  await assert.rejects(resizeDisk(at('grow.qcow2'), 2 * MiB), { code: 'invalid' });
});

test('a copy to raw and back has the same content and tells its progress', async () => {
  await writeFile(at('a.raw'), Buffer.alloc(2 * MiB, 'content'));
  const seen: number[] = [];
  await convertDisk(at('a.raw'), 'raw', at('a.qcow2'), 'qcow2', { onProgress: (percent) => seen.push(percent) });
  await convertDisk(at('a.qcow2'), 'qcow2', at('b.raw'), 'raw');
  assert.deepEqual(await readFile(at('b.raw')), await readFile(at('a.raw')));
  assert.equal(seen.at(-1), 100);
});

test('a whole disk passes the check and a damaged one is called corrupt', async () => {
  await writeFile(at('c.raw'), Buffer.alloc(2 * MiB, 1));
  await convertDisk(at('c.raw'), 'raw', at('c.qcow2'), 'qcow2');
  await checkDisk(at('c.qcow2'));
  await truncate(at('c.qcow2'), 200_000);
  await assert.rejects(checkDisk(at('c.qcow2')), { code: 'corrupt' });
});

test('a file name that begins with a dash or looks like a protocol stays a file name', async () => {
  for (const name of ['-o.qcow2', 'nbd:unix:x', 'a,b=c.qcow2', 'it\'s "x"\n.qcow2']) {
    await createDisk(at(name), MiB);
    assert.equal((await diskInfo(at(name), 'qcow2')).virtualBytes, MiB, name);
  }
});

test('free space is told for a folder that is not there yet, and too little of it is an error', async () => {
  const { freeBytes, totalBytes } = await freeSpace(at('not/yet/there'));
  assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
  await assert.rejects(requireSpace(folder, totalBytes * 2, 'everything'), { code: 'no_space' });
});

test('without qemu-img the error names the package', async () => {
  await createDisk(at('none.qcow2'), MiB);
  const path = process.env['PATH'];
  process.env['PATH'] = folder;
  try {
    await assert.rejects(
      checkDisk(at('none.qcow2')),
      (error: Error & { code?: string }) => error.code === 'missing_program' && error.message.includes('qemu-utils'),
    );
  } finally {
    process.env['PATH'] = path;
  }
  execFileSync('qemu-img', ['--version']);
});

test('a size that is no whole number of clusters is the same in every layer', async () => {
  const odd = 300_000_256;
  const [base, top] = [at('odd-base.qcow2'), at('odd-top.qcow2')];
  await createDisk(base, odd);
  await createOverlay(top, { backing: base, sizeBytes: odd });
  assert.equal((await diskInfo(top, 'qcow2')).virtualBytes, (await diskInfo(base, 'qcow2')).virtualBytes);
  const flash = at('flash.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', flash, String(528 * 1024)]);
  await createOverlay(top, { backing: flash });
  assert.equal((await diskInfo(top, 'qcow2')).virtualBytes, 528 * 1024);
});
