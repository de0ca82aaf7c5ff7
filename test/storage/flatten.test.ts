// Layers of sparse files made into one: against the simplest thing that could do it.
import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createMemoryFile } from '../../src/host/file/memory-file.ts';
import { flatten } from '../../src/storage/flatten.ts';

const page = 4096;
const pages = 64;
const bytes = page * pages;

async function target(t: TestContext): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-flatten-'));
  const fd = openSync(join(folder, 'memory'), 'w+');
  t.after(async () => {
    closeSync(fd);
    await rm(folder, { recursive: true, force: true });
  });
  return fd;
}

function contentOf(fd: number): Buffer {
  const content = Buffer.alloc(bytes);
  readSync(fd, content, 0, bytes, 0);
  return content;
}

test('what an upper layer has hides what is below it, zeros as well', async (t) => {
  const to = await target(t);
  const Layer = fc.array(fc.tuple(fc.nat(pages - 1), fc.integer({ min: 0, max: 3 })), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.array(Layer, { minLength: 1, maxLength: 5 }), async (layers) => {
      const expected = Buffer.alloc(bytes);
      const fds = layers.map((written) => {
        const fd = createMemoryFile('test', bytes);
        for (const [at, value] of written) {
          writeSync(fd, Buffer.alloc(page, value), 0, page, at * page);
          expected.fill(value, at * page, (at + 1) * page);
        }
        return fd;
      });
      try {
        await flatten(fds, to, bytes, { signal: AbortSignal.timeout(60_000) });
      } finally {
        for (const fd of fds) closeSync(fd);
      }
      assert.ok(contentOf(to).equals(expected));
    }),
    { numRuns: 60 },
  );
});

test('holes and zeros take no room', async (t) => {
  const to = await target(t);
  const layer = createMemoryFile('test', bytes);
  t.after(() => closeSync(layer));
  writeSync(layer, Buffer.alloc(page * 8), 0, page * 8, 0);
  writeSync(layer, Buffer.alloc(page, 1), 0, page, page * 20);
  await flatten([layer], to, bytes, { signal: AbortSignal.timeout(60_000) });
  assert.equal(fstatSync(to).size, bytes);
  assert.ok(fstatSync(to).blocks * 512 <= 2 * page);
});

test('it stops when it is asked to, and tells how far it is', async (t) => {
  const to = await target(t);
  const layer = createMemoryFile('test', bytes);
  t.after(() => closeSync(layer));
  writeSync(layer, Buffer.alloc(bytes, 1), 0, bytes, 0);
  const told: number[] = [];
  await flatten([layer], to, bytes, { signal: AbortSignal.timeout(60_000), onProgress: (done) => told.push(done) });
  assert.equal(told.at(-1), bytes);
  const stop = AbortSignal.abort(new Error('enough'));
  await assert.rejects(flatten([layer], to, bytes, { signal: stop }), /enough/);
});
