// How the disks of a VM differ between two instants of its life. Nothing is written and no guest is asked.
import type { Difference } from '../../contract/snapshot.ts';
import { compareDisks } from '../../storage/difference.ts';
import { isWritable } from '../../vm/capture/overlays.ts';
import type { VmRecord } from '../../vm/record.ts';

/** Ranges of each disk that are named. */
const mostRanges = 1000;

/** Every disk that both have. @throws what compareDisks throws */
export async function compareVms(from: VmRecord, to: VmRecord, signal: AbortSignal): Promise<Difference['disks']> {
  const disks: Difference['disks'] = [];
  for (const { id, file } of to.disks.filter(isWritable)) {
    const before = from.disks.find((disk) => disk.id === id);
    if (before) disks.push({ id, ...(await compareDisks(before.file, file, mostRanges, signal)) });
  }
  return disks;
}
