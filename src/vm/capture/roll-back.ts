// A freeze that has not come to its end, because something failed or the daemon died in its middle: the guest goes on, and the machine's
// record names the files that its QEMU writes to. freeze.ts has the order of things; this is what is true after each of them:
//
//   recorded ─► stop ─► devices into a file ─► disks: new tops ─► memory ─► go on
//   └───────── back to the files before ───────┘└─────── stays on the new ones ──
import { closeTops, topsAreIn } from '../../qemu/block.ts';
import { cont, pausedAgain, queryStatus } from '../../qemu/command.ts';
import { stopSaving } from '../../qemu/state.ts';
import type { Machines } from '../registry.ts';
import type { Live } from '../runtime.ts';
import type { Machine } from '../vm.ts';
import { isOnTops, offTops, type Top } from './overlays.ts';
import type { PointRecord } from './snapshot-record.ts';

/**
 * Repeatable, and whoever dies in its middle leaves what it can be begun with again: the tops that are left are empty, so whichever of the two
 * the record names, what the guest has written is found.
 * @returns whether the machine stays on the new tops; one without a process does where they are recorded
 */
export async function takeBack(
  machine: Machine,
  machines: Machines,
  { point, tops }: { readonly point: PointRecord; readonly tops: readonly Top[] },
): Promise<boolean> {
  const { live } = machine;
  if (!isOnTops(machine.record, tops)) return false; // the guest stands still only after that
  if (!live) return true;
  await stopSaving(live.qmp);
  const taken = await topsAreIn(live.qmp, tops);
  await goOn(machine, live, point);
  if (taken) return true;
  await machine.update(await offTops(machine.record, tops, machines.host));
  // After it goes on: before, QEMU lets go of no file that it has saved the state of. What it keeps open it does not use.
  await closeTops(live.qmp, tops).catch(() => {});
  return false;
}

/** One that a daemon has taken up while it stood still is recorded as paused since; the point knows how it was. */
async function goOn(machine: Machine, { qmp, agent }: Live, { machine: before }: PointRecord): Promise<void> {
  const { status } = await queryStatus(qmp);
  if (status !== 'paused' && status !== 'postmigrate') return;
  const { state } = machine.record;
  if (state === 'running' || (state === 'paused' && before.state === 'running')) {
    // Where its agent has not been reached since, it stood still for as long as no daemon was there: it is told how late it is.
    if (state === 'paused' || !agent)
      await machine.update(({ asleep }) => ({ state: 'running', stateReason: null, asleep: asleep || !agent }));
    await cont(qmp);
  } else if (status === 'postmigrate') await pausedAgain(qmp);
}
