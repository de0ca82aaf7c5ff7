// How snapshots are shown: the tree with what is damaged in it, and what a comparison with their checksums has found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotSheet, snapshotTree, verificationLines } from '../../src/cli/render/snapshot.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';

const snapshot = (label: string, parent: string | null, more: Partial<Snapshot> = {}): Snapshot => ({
  ...{ id: `id-${label}`, vm: 'web', label, parent, createdAt: 0, memory: true, writing: false, memoryBytes: 2 ** 20, diskBytes: 0 },
  ...{ frozenFileSystems: null, pausedMs: 1, template: false, auto: null, thumbnail: null, checkedAt: null, damage: null, current: false },
  ...more,
});

test('a damaged snapshot is told in the tree, and on its sheet with what is wrong', () => {
  const harmed = snapshot('harmed', 'id-first', { damage: 'its file /x is missing', checkedAt: 1 });
  const tree = snapshotTree([snapshot('first', null), harmed, snapshot('last', 'id-first', { current: true })], undefined);
  assert.match(tree[2] ?? '', /^├─ harmed {2}DAMAGED /);
  assert.equal(tree.filter((line) => line.includes('DAMAGED')).length, 1);
  assert.match(tree[3] ?? '', /^└─ last {2}◄ current /);
  assert.ok(snapshotSheet(harmed).some((line) => /^damaged +its file \/x is missing$/.test(line)));
  assert.ok(!snapshotSheet(snapshot('first', null)).some((line) => /^(damaged|looked at)/.test(line)));
});

test('a comparison says how much was read, and what could not be compared yet', () => {
  const lines = verificationLines({ vm: 'web', snapshots: 1, files: 2, checksummed: 0, bytes: 3 * 2 ** 20 });
  assert.deepEqual(lines, ['web: 1 snapshot, 2 files as written, 3 MiB read']);
  const [, more] = verificationLines({ vm: 'web', snapshots: 2, files: 0, checksummed: 1, bytes: 0 });
  assert.equal(more, '1 file had no checksums yet and can be compared from now on');
});
