// A VM's NICs while it exists: one added, one removed, a link set. The record says what is desired; the process is reconciled.
import { VivError } from '../../contract/errors.ts';
import type { NicRules } from '../../contract/nic-spec.ts';
import { tapOf } from '../../network/kernel/interface-names.ts';
import { hasNic, plugNic, pullNic, removeNetdev, setNicLink } from '../../qemu/nic.ts';
import type { NicRecord, VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { isVirtual } from './nics.ts';

/** @throws wrong_state, unsupported where its process cannot get another NIC now */
export function checkPlug({ name, record, live }: Vm): void {
  if (record.state === 'suspended')
    throw new VivError('wrong_state', `${name} is suspended, and its saved memory knows the NICs it had; start it first`);
  if (record.nics.some((nic) => !isVirtual(nic)))
    throw new VivError(
      'wrong_state',
      `${name} is in QEMU’s own network (user), which cannot be combined with others; remove that NIC first: viv nic rm ${name} net0`,
    );
  if (!live) return;
  if (!record.nics.some(isVirtual))
    throw new VivError('wrong_state', `${name} was started without networks; stop it first, and it has the NIC from its next start on`);
  if ((record.started?.slots ?? 0) === 0) throw new VivError('unsupported', `${name} has no slots for further NICs; stop it first`);
}

/** The VM's NIC of that name. @throws not_found */
export function nicOf({ name, record }: { name: string; record: Pick<VmRecord, 'nics'> }, id: string): NicRecord {
  const nic = record.nics.find((one) => one.id === id);
  if (!nic) throw new VivError('not_found', `${name} has no NIC ${id}; it has ${record.nics.map((one) => one.id).join(', ') || 'none'}`);
  return nic;
}

/** @throws wrong_state where it stays as long as the VM runs */
export function checkPull(vm: Vm, id: string): void {
  const { name, record, live } = vm;
  if (record.state === 'suspended')
    throw new VivError('wrong_state', `${name} is suspended, and its saved memory knows the NICs it had; start it first`);
  if (live && nicOf(vm, id).slot === null)
    throw new VivError(
      'wrong_state',
      `the NIC ${id} of ${name} is part of the machine type and stays while the VM runs; stop it first, or set its link down: viv nic set ${name} ${id} --link down`,
    );
}

/** Enters one more NIC. Repeatable. @throws in_use, invalid, not_found */
export async function enterNic(vm: Vm, services: Uses<'networks'>, nic: NicRecord): Promise<void> {
  if (vm.record.nics.some(({ id }) => id === nic.id)) return;
  const { nics } = services.networks.nics.reserve({ ...vm.record, nics: [...vm.record.nics, nic] });
  const placed = nics.at(-1) as NicRecord;
  try {
    await vm.update((record) => ({ nics: [...record.nics, placed] }));
  } finally {
    services.networks.nics.release(vm.id);
  }
  await services.networks.tryReconcile();
}

/** Its process gets the NIC. Repeatable. */
export async function plugIn(vm: Vm, services: Uses<'networks'>, id: string, signal: AbortSignal): Promise<void> {
  const { live } = vm;
  if (!live) return;
  const nic = nicOf(vm, id);
  const plugged = await services.networks.prepareTaps(vm.record, [nic]);
  services.networks.attached(vm.id, live.process);
  if (!plugged) return;
  if (await hasNic(live.qmp, id)) return void (await setNicLink(live.qmp, id, nic.up));
  // Half of it may have been done by a daemon that died.
  await removeNetdev(live.qmp, id);
  const { enter, program } = plugged;
  await plugNic(
    { ...nic, announces: vm.record.started?.announces ?? false, queueReset: vm.record.started?.queueReset ?? false },
    { enter, program, tap: tapOf(vm.id, id), socket: vm.paths.nics },
    signal,
  );
  if (!nic.up) await setNicLink(live.qmp, id, false);
}

/** Its process gives the NIC back. Repeatable. */
export async function pullOut(vm: Vm, id: string, signal: AbortSignal): Promise<void> {
  if (vm.live) await pullNic(vm.live.qmp, id, signal);
}

/** Repeatable. */
export async function dropNic(vm: Vm, services: Uses<'networks'>, id: string): Promise<void> {
  if (!vm.record.nics.some((nic) => nic.id === id)) return;
  await vm.update((record) => ({ nics: record.nics.filter((nic) => nic.id !== id) }));
  await services.networks.tryReconcile();
}

/** Repeatable. @throws where the kernel does not take it */
export async function setNicRules(vm: Vm, services: Uses<'networks'>, id: string, rules: Partial<NicRules>): Promise<void> {
  nicOf(vm, id);
  await vm.update((record) => ({ nics: record.nics.map((nic) => (nic.id === id ? { ...nic, ...rules } : nic)) }));
  await services.networks.reconcile();
}

/** Repeatable. */
export async function setLink(vm: Vm, services: Uses<'networks'>, id: string, up: boolean): Promise<void> {
  nicOf(vm, id);
  await vm.update((record) => ({ nics: record.nics.map((nic) => (nic.id === id ? { ...nic, up } : nic)) }));
  if (vm.live) await setNicLink(vm.live.qmp, id, up);
  await services.networks.tryReconcile();
}
