// Rolls back a capture that failed, or in the middle of which the daemon died: the guest continues, and the VM's record names the files
// that its QEMU writes to. capture.ts has the order; this is true after each step:
//
//   recorded ─► stop ─► devices into a file ─► disks: new overlays ─► memory ─► continue
//   └─────── back to the files before ─────────┘└──── stays on the new ones ────
import { closeOverlays, overlaysAreIn } from '../../qemu/block.ts';
import { cont, pausedAgain, queryStatus } from '../../qemu/command.ts';
import { stopSaving } from '../../qemu/state.ts';
import type { VmConnection } from '../connection.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { isOnOverlays, type Overlay, offOverlays } from './overlays.ts';
import type { SnapshotRecord } from './snapshot-record.ts';

/**
 * Repeatable, also after a crash in its middle: unused overlays are empty, so whichever files the record names, what the guest has written
 * is in them.
 * @returns whether the VM stays on the new overlays; a VM without a process does where the record names them
 */
export async function rollBack(
  vm: Vm,
  services: Uses<'paths'>,
  { snapshot, overlays }: { readonly snapshot: SnapshotRecord; readonly overlays: readonly Overlay[] },
): Promise<boolean> {
  const { live } = vm;
  if (!isOnOverlays(vm.record, overlays)) return false; // the guest is paused only after that
  if (!live) return true;
  await stopSaving(live.qmp);
  const taken = await overlaysAreIn(live.qmp, overlays);
  await goOn(vm, live, snapshot);
  if (taken) return true;
  await vm.update(await offOverlays(vm.record, overlays, services));
  // After it continues: before, QEMU closes no file whose state it has saved. A file that it keeps open is not used.
  await closeOverlays(live.qmp, overlays).catch(() => {});
  return false;
}

/** A VM that was adopted while it was paused is recorded as paused; the snapshot knows how it was. */
async function goOn(vm: Vm, { qmp, agent }: VmConnection, { vmRecord: before }: SnapshotRecord): Promise<void> {
  const { status } = await queryStatus(qmp);
  if (status !== 'paused' && status !== 'postmigrate') return;
  const { state } = vm.record;
  if (state === 'running' || (state === 'paused' && before.state === 'running')) {
    // Without an agent it was paused for as long as no daemon ran: its guest has to learn the time.
    if (state === 'paused' || !agent)
      await vm.update(({ resumedFromSuspend }) => ({
        state: 'running',
        stateReason: null,
        resumedFromSuspend: resumedFromSuspend || !agent,
      }));
    await cont(qmp);
  } else if (status === 'postmigrate') await pausedAgain(qmp);
}
