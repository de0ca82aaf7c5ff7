// A freeze that has not come to its end, because something failed or the daemon died in its middle: the guest goes on, and the VM's
// record names the files that its QEMU writes to. capture.ts has the order of things; this is what is true after each of them:
//
//   recorded ─► stop ─► devices into a file ─► disks: new tops ─► memory ─► go on
//   └───────── back to the files before ───────┘└─────── stays on the new ones ──
import { closeOverlays, overlaysAreIn } from '../../qemu/block.ts';
import { cont, pausedAgain, queryStatus } from '../../qemu/command.ts';
import { stopSaving } from '../../qemu/state.ts';
import type { VmConnection } from '../connection.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { isOnOverlays, type Overlay, offOverlays } from './overlays.ts';
import type { SnapshotRecord } from './snapshot-record.ts';

/**
 * Repeatable, and whoever dies in its middle leaves what it can be begun with again: the tops that are left are empty, so whichever of the two
 * the record names, what the guest has written is found.
 * @returns whether the VM stays on the new tops; one without a process does where they are recorded
 */
export async function rollBack(
  vm: Vm,
  services: Uses<'paths'>,
  { snapshot, overlays }: { readonly snapshot: SnapshotRecord; readonly overlays: readonly Overlay[] },
): Promise<boolean> {
  const { live } = vm;
  if (!isOnOverlays(vm.record, overlays)) return false; // the guest stands still only after that
  if (!live) return true;
  await stopSaving(live.qmp);
  const taken = await overlaysAreIn(live.qmp, overlays);
  await goOn(vm, live, snapshot);
  if (taken) return true;
  await vm.update(await offOverlays(vm.record, overlays, services));
  // After it goes on: before, QEMU lets go of no file that it has saved the state of. What it keeps open it does not use.
  await closeOverlays(live.qmp, overlays).catch(() => {});
  return false;
}

/** One that a daemon has taken up while it stood still is recorded as paused since; the snapshot knows how it was. */
async function goOn(vm: Vm, { qmp, agent }: VmConnection, { vmRecord: before }: SnapshotRecord): Promise<void> {
  const { status } = await queryStatus(qmp);
  if (status !== 'paused' && status !== 'postmigrate') return;
  const { state } = vm.record;
  if (state === 'running' || (state === 'paused' && before.state === 'running')) {
    // Where its agent has not been reached since, it stood still for as long as no daemon was there: it is told how late it is.
    if (state === 'paused' || !agent)
      await vm.update(({ resumedFromSuspend }) => ({
        state: 'running',
        stateReason: null,
        resumedFromSuspend: resumedFromSuspend || !agent,
      }));
    await cont(qmp);
  } else if (status === 'postmigrate') await pausedAgain(qmp);
}
