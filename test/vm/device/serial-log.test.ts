// The serial log: rotated whatever its size, without being read whole.
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLog, rotate } from '../../../src/vm/device/serial-log.ts';

const MiB = 2 ** 20;

async function inFolder(act: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-log-'));
  try {
    await act(join(folder, 'serial.log'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a log of 3 GiB is rotated: its end is kept, and little memory is needed', () =>
  inFolder(async (file) => {
    await writeFile(file, '');
    await truncate(file, 3 * 1024 * MiB);
    await using handle = await open(file, 'a');
    await handle.write('the end\n');
    const before = process.memoryUsage().arrayBuffers;
    await rotate(file);
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 * MiB);
    assert.equal((await stat(file)).size, 0);
    const kept = await readFile(`${file}.1`);
    assert.equal(kept.length, 4 * MiB);
    assert.ok(kept.toString('latin1').endsWith('the end\n'));
    await handle.write('more\n');
    assert.equal(await readFile(file, 'utf8'), 'more\n');
  }));

test('a log that is just long enough is kept whole, and a short one is left alone', () =>
  inFolder(async (file) => {
    await writeFile(file, 'x'.repeat(1000));
    await rotate(file);
    assert.equal((await stat(file)).size, 1000);
    await writeFile(file, `first${'y'.repeat(4 * MiB - 5)}`);
    await rotate(file);
    assert.equal((await stat(file)).size, 0);
    assert.equal((await readFile(`${file}.1`, 'latin1')).slice(0, 6), 'firsty');
    const parts: Buffer[] = [];
    for await (const part of readLog(file)) parts.push(part);
    assert.equal(Buffer.concat(parts).length, 4 * MiB);
  }));

test('three parts are kept at most', () =>
  inFolder(async (file) => {
    for (const text of ['a', 'b', 'c', 'd']) {
      await writeFile(file, text.repeat(10));
      await rotate(file, 10);
    }
    const first = async (part: number) => (await readFile(`${file}.${part}`, 'utf8'))[0];
    assert.deepEqual(await Promise.all([1, 2, 3].map(first)), ['d', 'c', 'b']);
  }));
