// A QEMU that waits for a saved state gets it: of a snapshot, or of the VM's own state file.
import { queryStatus } from '../../qemu/command.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import type { QmpConnection } from '../../qemu/qmp.ts';
import { loadDevices, loadState } from '../../qemu/state.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { openQmp } from './connect.ts';
import { resumesFrom } from './spawn.ts';

/** @param status QEMU's; anything but `inmigrate` means that there is nothing to load */
export async function loadSavedState(
  vm: Vm,
  services: Uses<'snapshots' | 'paths'>,
  qmp: QmpConnection,
  status: string,
  signal: AbortSignal,
): Promise<void> {
  if (status !== 'inmigrate') return;
  const snapshot = resumesFrom(vm, services);
  if (snapshot === null) await loadState(qmp, vm.paths.suspendState, { signal });
  else await loadDevices(qmp, services.paths.snapshot(snapshot.id).devices, { signal });
}

/** A process that a previous daemon started may have loaded half of a saved state. */
export async function isLoading(vm: Vm, process: QemuProcess, signal: AbortSignal): Promise<boolean> {
  const qmp = await openQmp(vm, process, signal);
  try {
    return (await queryStatus(qmp)).status === 'inmigrate';
  } finally {
    qmp.close();
  }
}
