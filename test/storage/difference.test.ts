// Which regions of two disks differ: the pieces that have to be compared as a table, and the whole on real qcow2 files.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { candidates, compareDisks, type Extent } from '../../src/storage/difference.ts';
import { createDisk, createOverlay } from '../../src/storage/disk.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const zeros = { type: 'zeros' } as const;
const bytes = (file: string, offset: number) => ({ type: 'bytes', file, offset }) as const;
const never = new AbortController().signal;

test('what both disks have from the same place is not compared', () => {
  const one: Extent[] = [
    { start: 0, length: 100, from: bytes('base', 1000) },
    { start: 100, length: 100, from: zeros },
    { start: 200, length: 50, from: { type: 'packed', file: 'base' } },
  ];
  assert.deepEqual([...candidates(one, one)], []);
  const split: Extent[] = [
    { start: 0, length: 40, from: bytes('base', 1000) },
    { start: 40, length: 60, from: bytes('base', 1040) },
    ...one.slice(1),
  ];
  assert.deepEqual([...candidates(one, split)], []);
});

test('pieces end where an extent of either disk ends, and a shorter disk goes on as zeros', () => {
  const one: Extent[] = [{ start: 0, length: 100, from: bytes('base', 1000) }];
  const other: Extent[] = [
    { start: 0, length: 30, from: bytes('base', 1000) },
    { start: 30, length: 20, from: bytes('top', 500) },
    { start: 50, length: 50, from: bytes('base', 1050) },
    { start: 100, length: 10, from: bytes('top', 520) },
    { start: 110, length: 10, from: zeros },
  ];
  assert.deepEqual(
    [...candidates(one, other)],
    [
      { start: 30, length: 20, one: bytes('base', 1030), other: bytes('top', 500) },
      { start: 100, length: 10, one: zeros, other: bytes('top', 520) },
    ],
  );
});

const write = (file: string, ...commands: string[]) =>
  execFileSync('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), file], { stdio: 'pipe' });

async function chain(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'viv-difference-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [base, one, other] = ['base', 'one', 'other'].map((name) => join(folder, name)) as [string, string, string];
  await createDisk(base, 16 * MiB);
  write(base, 'write -P 1 0 2M', 'write -P 2 8M 64k');
  await createOverlay(one, { backing: base });
  await createOverlay(other, { backing: one });
  return { folder, base, one, other };
}

test('only what reads differently is told, whatever was written', async (t) => {
  const { one, other } = await chain(t);
  assert.deepEqual(await compareDisks(one, other, 10, never), { changedBytes: 0, ranges: [], more: 0 });
  // The same again, other bytes, zeros over data, zeros over nothing, and a byte where nothing was.
  write(other, 'write -P 1 0 64k', 'write -P 9 128k 128k', 'write -z 8M 64k', 'write -z 10M 64k', 'write -P 3 12M 512');
  const expected = {
    changedBytes: 256 * KiB,
    ranges: [
      { offset: 128 * KiB, length: 128 * KiB },
      { offset: 8 * MiB, length: 64 * KiB },
      { offset: 12 * MiB, length: 64 * KiB },
    ],
    more: 0,
  };
  assert.deepEqual(await compareDisks(one, other, 10, never), expected);
  assert.deepEqual(await compareDisks(other, one, 10, never), expected);
  assert.deepEqual(await compareDisks(one, other, 1, never), { ...expected, ranges: expected.ranges.slice(0, 1), more: 2 });
});

test('a disk that has grown differs where something was written to its new part', async (t) => {
  const { folder, one } = await chain(t);
  const grown = join(folder, 'grown');
  await createOverlay(grown, { backing: one, sizeBytes: 32 * MiB });
  assert.equal((await compareDisks(one, grown, 10, never)).changedBytes, 0);
  write(grown, 'write -P 7 20M 1M');
  assert.deepEqual((await compareDisks(one, grown, 10, never)).ranges, [{ offset: 20 * MiB, length: MiB }]);
});

test('what is packed in an image that both have below is the same, and counts as changed where only one has it', async (t) => {
  const { folder, base } = await chain(t);
  const packed = join(folder, 'packed');
  execFileSync('qemu-img', ['convert', '-c', '-f', 'qcow2', '-O', 'qcow2', base, packed]);
  const [one, other] = [join(folder, 'over-1'), join(folder, 'over-2')];
  for (const file of [one, other]) await createOverlay(file, { backing: packed });
  assert.equal((await compareDisks(one, other, 10, never)).changedBytes, 0);
  write(other, 'write -P 1 0 64k');
  assert.equal((await compareDisks(one, other, 10, never)).changedBytes, 64 * KiB);
});

test('a file that is missing is named, one below as well', async (t) => {
  const { folder, base, one, other } = await chain(t);
  const gone = join(folder, 'gone');
  await assert.rejects(compareDisks(one, gone, 10, never), { code: 'not_found', message: new RegExp(gone) });
  await rm(base);
  await assert.rejects(compareDisks(one, other, 10, never), { code: 'not_found', message: new RegExp(base) });
});

test('it ends when it is cancelled', async (t) => {
  const { one, other } = await chain(t);
  await assert.rejects(compareDisks(one, other, 10, AbortSignal.abort(new Error('enough'))), { message: 'enough' });
});
