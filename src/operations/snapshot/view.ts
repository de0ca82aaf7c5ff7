// How a snapshot is shown.
import { stat } from 'node:fs/promises';
import type { Snapshot } from '../../contract/snapshot.ts';
import { checksummedFiles } from '../../vm/capture/checksums.ts';
import { filesOfSnapshot } from '../../vm/capture/snapshot-files.ts';
import type { SnapshotRecord, UnreadableSnapshot } from '../../vm/capture/snapshot-record.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

/** Sizes are those of the files now; one that is missing counts nothing, and is reported when the snapshot is used. */
export async function viewOf(snapshot: SnapshotRecord, vm: Vm, { checks, paths }: Services): Promise<Snapshot> {
  const { disks, vars } = snapshot.vmRecord;
  const files = [
    ...disks.filter(({ kind }) => kind === 'root' || kind === 'data').map(({ file }) => file),
    ...(vars === null ? [] : [vars]),
  ];
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      ),
    ),
  );
  const known = checks.damaged(filesOfSnapshot(snapshot, paths));
  const checkedAt = checksummedFiles(snapshot, paths).map((file) => checks.of(file)?.at ?? 0);
  return {
    id: snapshot.id,
    vm: vm.name,
    label: snapshot.label,
    parent: snapshot.parent,
    createdAt: snapshot.createdAt,
    memory: snapshot.memory !== null,
    writing: snapshot.memory?.in === 'process',
    memoryBytes: snapshot.memoryBytes,
    diskBytes: sizes.reduce((sum, size) => sum + size, 0),
    frozenFileSystems: snapshot.frozenFileSystems,
    pausedMs: Math.round(snapshot.pausedMs * 10) / 10,
    template: snapshot.template,
    auto: snapshot.auto,
    thumbnail: snapshot.thumbnail,
    checkedAt: snapshot.checksums === null ? null : Math.min(...checkedAt) || null,
    damage: known && `its file ${known.file} ${known.damage}`,
    current: vm.record.at === snapshot.id,
  };
}

/** A snapshot whose record cannot be read: shown so that it can be removed. */
export function unreadableView({ id, label, createdAt, why }: UnreadableSnapshot, vm: Vm): Snapshot {
  return {
    ...{ id, vm: vm.name, label, parent: null, createdAt, memory: false, writing: false, memoryBytes: 0, diskBytes: 0 },
    ...{ frozenFileSystems: null, pausedMs: 0, template: false, auto: null, thumbnail: null, checkedAt: null },
    damage: why,
    current: vm.record.at === id,
  };
}
