// What a suspended machine sleeps at is a point that nobody is shown. It goes when the machine has woken, or has given it up.
import { rm } from 'node:fs/promises';
import { collectSums } from '../capture/checksums.ts';
import type { MachineRecord } from '../record.ts';
import type { Machines } from '../registry.ts';

/** Repeatable. A point that somebody made stays. What the guest has not touched yet its process reads from the file, which it has open. */
export async function dropSleep({ wakeFrom }: Pick<MachineRecord, 'wakeFrom'>, machines: Machines): Promise<void> {
  const { points, host } = machines;
  if (wakeFrom === null || points.byId(wakeFrom)?.kind !== 'suspend') return;
  await rm(host.paths.point(wakeFrom).folder, { recursive: true, force: true });
  await points.drop(wakeFrom);
  await collectSums(machines);
}
