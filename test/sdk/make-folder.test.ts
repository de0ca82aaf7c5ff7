// What a copy out of a VM makes on this side, also where that cannot be.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { pack } from 'tar-stream';
import { extractTree } from '../../src/sdk/copy/copy-from.ts';

const tree = () => {
  const packed = pack();
  packed.entry({ name: 'a', type: 'directory' });
  packed.entry({ name: 'a/b/c' }, 'here');
  packed.finalize();
  return Readable.from(packed);
};

test('folders that lead to a file are made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'copy-'));
  try {
    await extractTree(tree(), folder, 'new');
    assert.ok(existsSync(join(folder, 'new/b/c')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('where none can be made that is said at once', { timeout: 60_000, skip: process.platform !== 'linux' }, async () => {
  await assert.rejects(extractTree(tree(), '/proc/none', 'new'), { code: 'ENOENT' });
});
