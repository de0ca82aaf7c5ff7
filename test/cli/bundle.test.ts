// What every command loads before it does anything: schemas are not among it, they would take as long as all the rest (docs/internals/performance.md).
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test } from 'node:test';
import { bundleCommand } from '../../scripts/bundle.ts';

test('a command, and one that lists VMs, starts without zod', async () => {
  const texts = new Map((await bundleCommand('/bundle')).map(({ path, text }) => [basename(path), text]));
  // The others are loaded when they are asked for.
  const lists = [...texts].filter(([, text]) => text.includes('no VMs yet')).map(([name]) => name);
  assert.equal(lists.length, 1);
  const loaded = new Set(['viv.js', ...lists]);
  for (const name of loaded)
    for (const [, next = ''] of (texts.get(name) ?? '').matchAll(/\b(?:from|import)\s*"\.\/([^"]+)"/g)) loaded.add(next);
  assert.ok(loaded.size > 1, 'its chunks are found');
  const heavy = (name: string) => /\bZodObject\b/.test(texts.get(name) ?? '');
  assert.ok([...texts.keys()].some(heavy), 'and so is the one that has zod');
  assert.deepEqual([...loaded].filter(heavy), []);
});
