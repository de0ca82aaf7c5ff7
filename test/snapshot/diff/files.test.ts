// Two lists of what a file system has, compared: without a guest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addDifference, readable } from '../../../src/snapshot/diff/files.ts';

test('a file differs by any of its attributes, a directory by owner and mode only', () => {
  const from = new Map([
    ['/a', '81a4 0 0 5 t1 t1'],
    ['/d', '41ed 0 0 4096 t1 t1'],
    ['/e', '41ed 0 0 4096 t1 t1'],
    ['/gone', 'a1ff 0 0 3 t1 t1'],
  ]);
  const to = new Map([
    ['/a', '81a4 0 0 5 t1 t2'],
    ['/d', '41ed 0 0 4096 t2 t2'],
    ['/e', '41c0 0 0 4096 t1 t2'],
  ]);
  const found = { added: 0, removed: 0, changed: 0, list: [], more: 0 };
  addDifference(found, 'root', from, to, { characters: 4 });
  assert.deepEqual(found, {
    ...{ added: 0, removed: 1, changed: 2, more: 1 },
    list: [
      { on: 'root', path: '/a', change: 'changed', kind: 'file', bytes: 5 },
      { on: 'root', path: '/e', change: 'changed', kind: 'directory', bytes: 4096 },
    ],
  });
});

test('a name that is not UTF-8 is shown byte by byte, and no two names look the same', () => {
  const bytes = (text: string) => Buffer.from(text).toString('latin1');
  assert.equal(readable(bytes('/é')), '/é');
  assert.equal(readable('/a\xff\n'), '/a\\xff\\x0a');
  assert.equal(readable(bytes('/a\\xff')), '/a\\\\xff');
  assert.equal(readable('/tab\t'), '/tab\\x09');
});
