// Registering a VM, renaming and dropping it, with what belongs to it: its NICs' addresses, its name in DNS, its port forwards.
import { hasVirtual } from './device/nics.ts';
import type { VmRecord } from './record.ts';
import type { Uses } from './services.ts';
import type { Vm } from './vm.ts';

/** Registers a new VM under its name, with addresses of its own. Repeatable. @throws name_taken, in_use, invalid, not_found */
export async function insertVm(unplaced: VmRecord, { vms, networks, processes }: Uses<'vms' | 'networks' | 'processes'>): Promise<Vm> {
  const present = vms.byId(unplaced.id);
  if (present) return present;
  const record = networks.nics.reserve(unplaced);
  try {
    const vm = await vms.insert(record);
    processes.madeHere(record.id);
    return vm;
  } finally {
    networks.registered(record.id);
  }
}

/** Gives it another name, and makes the other changes in the same commit. Repeatable. @throws name_taken, what `change` throws */
export async function renameVm(
  vm: Vm,
  name: string,
  { vms, networks }: Uses<'vms' | 'networks'>,
  change?: () => Partial<VmRecord>,
): Promise<void> {
  if (vm.name === name) return;
  await vms.rename(vm, name, change);
  if (hasVirtual(vm.record)) await networks.tryReconcile();
}

/** Forgets a VM and its port forwards. Repeatable. */
export async function dropVm(id: string, { vms, networks, processes }: Uses<'vms' | 'networks' | 'processes'>): Promise<void> {
  const vm = vms.byId(id);
  if (!vm) return;
  await networks.forwards.drop(networks.forwards.of(id));
  await vms.drop(id);
  processes.forget(id);
  if (hasVirtual(vm.record)) void networks.tryReconcile();
}
