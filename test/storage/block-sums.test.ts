// Sums of sparse files: the same whether they are taken while a file is written or from the file, and any change of it is found.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  BlockChecksums,
  blockBytes,
  type Checksums,
  checksumFile,
  decodeChecksums,
  encodeChecksums,
  firstDifference,
} from '../../src/storage/block-checksums.ts';

async function emptyFile(t: TestContext): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-sums-'));
  const fd = openSync(join(folder, 'file'), 'w+');
  t.after(async () => {
    closeSync(fd);
    await rm(folder, { recursive: true, force: true });
  });
  return fd;
}

const freely = async () => {};
const sectors = 4 * (blockBytes / 4096) + 3; // the last block is not a whole one

const naive = (content: Buffer): Checksums => ({
  bytes: content.length,
  blocks: Array.from({ length: Math.ceil(content.length / blockBytes) }, (_, nth) =>
    crc32(content.subarray(nth * blockBytes, (nth + 1) * blockBytes)),
  ),
});

test('the checksums of a sparse file are those of its bytes, taken from it or while it is written', async (t) => {
  const fd = await emptyFile(t);
  const Runs = fc.uniqueArray(fc.tuple(fc.nat(sectors - 1), fc.integer({ min: 0, max: 255 })), { selector: ([at]) => at, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(Runs, async (runs) => {
      const content = Buffer.alloc(sectors * 4096);
      const taken = new BlockChecksums();
      ftruncateSync(fd, 0);
      ftruncateSync(fd, content.length);
      for (const [at, value] of runs.toSorted(([one], [other]) => one - other)) {
        const bytes = Buffer.alloc(4096, value);
        writeSync(fd, bytes, 0, bytes.length, at * 4096);
        taken.add(bytes, at * 4096);
        bytes.copy(content, at * 4096);
      }
      assert.deepEqual(taken.end(content.length), naive(content));
      assert.deepEqual(await checksumFile(fd, content.length, freely), naive(content));
    }),
    { numRuns: 40 },
  );
});

test('a flipped bit is found, and in which block it is', async (t) => {
  const fd = await emptyFile(t);
  writeSync(fd, Buffer.alloc(5 * blockBytes, 'memory'));
  const before = await checksumFile(fd, 5 * blockBytes, freely);
  await fc.assert(
    fc.asyncProperty(fc.nat(5 * blockBytes - 1), fc.nat(7), async (at, bit) => {
      const was = Buffer.alloc(5 * blockBytes, 'memory')[at] as number;
      writeSync(fd, Buffer.from([was ^ (1 << bit)]), 0, 1, at);
      const found = firstDifference(await checksumFile(fd, 5 * blockBytes, freely), before);
      writeSync(fd, Buffer.from([was]), 0, 1, at);
      assert.equal(found, at - (at % blockBytes));
    }),
    { numRuns: 20 },
  );
  assert.equal(firstDifference(await checksumFile(fd, 5 * blockBytes, freely), before), null);
});

test('a file of a tebibyte that is nearly empty is read in no time, and a byte in a hole is found', async (t) => {
  const fd = await emptyFile(t);
  const bytes = 2 ** 40;
  ftruncateSync(fd, bytes);
  writeSync(fd, 'end', bytes - 3);
  let read = 0;
  const pace = async (more: number) => {
    read += more;
  };
  const checksums = await checksumFile(fd, bytes, pace);
  assert.ok(read <= blockBytes, `${read} bytes were read`);
  assert.equal(checksums.blocks.length, 2 ** 20);
  writeSync(fd, 'x', 2 ** 39);
  assert.equal(firstDifference(await checksumFile(fd, bytes, pace), checksums), 2 ** 39);
});

test('checksums are kept as bytes, and damage of those is told', () => {
  const checksums = { bytes: 3 * blockBytes + 5, blocks: [1, 0xffffffff, 3, 4] };
  const kept = encodeChecksums(checksums);
  assert.deepEqual(decodeChecksums(kept), checksums);
  for (let at = 0; at < kept.length; at++) {
    const harmed = Buffer.from(kept);
    harmed[at] = (harmed[at] as number) ^ 1;
    assert.equal(decodeChecksums(harmed), null, `byte ${at}`);
  }
  for (let length = 0; length < kept.length; length++) assert.equal(decodeChecksums(kept.subarray(0, length)), null);
});

test('who reads slower than it could is waited for, and can stop it', async (t) => {
  const fd = await emptyFile(t);
  writeSync(fd, Buffer.alloc(3 * blockBytes, 1));
  const told: number[] = [];
  const pace = async (bytes: number) => {
    told.push(bytes);
    if (told.length === 2) throw new Error('enough');
  };
  await assert.rejects(checksumFile(fd, 3 * blockBytes, pace), /enough/);
  assert.deepEqual(told, [blockBytes, blockBytes]);
});
