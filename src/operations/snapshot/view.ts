// How a point is shown.
import { stat } from 'node:fs/promises';
import type { Snapshot } from '../../contract/snapshot.ts';
import { filesOfPoint } from '../../snapshot/check-files.ts';
import { summedFiles } from '../../vm/capture/checksums.ts';
import type { PointRecord } from '../../vm/capture/snapshot-record.ts';
import type { Machines } from '../../vm/registry.ts';
import type { Machine } from '../../vm/vm.ts';

/** Sizes are those of the files now; one that is missing counts nothing and is told when the point is used. */
export async function viewOf(point: PointRecord, machine: Machine, { checks, host: { paths } }: Machines): Promise<Snapshot> {
  const { disks, vars } = point.machine;
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
  const known = checks.damaged(filesOfPoint(point, paths));
  const checkedAt = summedFiles(point, paths).map((file) => checks.of(file)?.at ?? 0);
  return {
    id: point.id,
    vm: machine.name,
    label: point.label,
    parent: point.parent,
    createdAt: point.createdAt,
    memory: point.memory !== null,
    writing: point.memory?.in === 'process',
    memoryBytes: point.memoryBytes,
    diskBytes: sizes.reduce((sum, size) => sum + size, 0),
    pausedMs: Math.round(point.pausedMs * 10) / 10,
    template: point.template,
    auto: point.auto,
    thumbnail: point.thumbnail,
    checkedAt: point.sums === null ? null : Math.min(...checkedAt) || null,
    damage: known && `its file ${known.file} ${known.damage}`,
    current: machine.record.at === point.id,
  };
}
