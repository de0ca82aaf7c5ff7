// A machine's cards while it exists: one more, one less, a cable out. The record says what is; a process is brought to it.
import { VivError } from '../../contract/errors.ts';
import type { NicGuard } from '../../contract/nic.ts';
import { tapOf } from '../../network/kernel/interface-names.ts';
import { hasCard, plugCard, pullCard, removeNetdev, setCable } from '../../qemu/nic.ts';
import type { MachineRecord, NicRecord } from '../record.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { isVirtual } from './nics.ts';

/** @throws wrong_state, unsupported where its process cannot get another card now */
export function checkPlug({ name, record, live }: Machine): void {
  if (record.state === 'suspended')
    throw new VivError('wrong_state', `${name} is suspended, and its saved memory knows the cards it had; start it first`);
  if (record.nics.some((nic) => !isVirtual(nic)))
    throw new VivError(
      'wrong_state',
      `${name} is in QEMU’s own network (user), which cannot be combined with others; take that card away first: viv network detach ${name} net0`,
    );
  if (!live) return;
  if (!record.nics.some(isVirtual))
    throw new VivError('wrong_state', `${name} was started without networks; stop it first, and it has the card from its next start on`);
  if ((record.started?.slots ?? 0) === 0) throw new VivError('unsupported', `${name} has no slots for further cards; stop it first`);
}

/** The machine's card of that name. @throws not_found */
export function cardOf({ name, record }: { name: string; record: Pick<MachineRecord, 'nics'> }, id: string): NicRecord {
  const nic = record.nics.find((one) => one.id === id);
  if (!nic) throw new VivError('not_found', `${name} has no card ${id}; it has ${record.nics.map((one) => one.id).join(', ') || 'none'}`);
  return nic;
}

/** @throws wrong_state where it stays as long as the machine runs */
export function checkPull(machine: Machine, id: string): void {
  const { name, record, live } = machine;
  if (record.state === 'suspended')
    throw new VivError('wrong_state', `${name} is suspended, and its saved memory knows the cards it had; start it first`);
  if (live && cardOf(machine, id).slot === null)
    throw new VivError(
      'wrong_state',
      `the card ${id} of ${name} is on the board, where it stays while the machine runs; stop it first, or pull its cable: viv network link ${name} ${id} down`,
    );
}

/** Enters one more card. Repeatable. @throws in_use, invalid, not_found */
export async function enterCard(machine: Machine, machines: Machines, nic: NicRecord): Promise<void> {
  if (machine.record.nics.some(({ id }) => id === nic.id)) return;
  const { nics } = machines.networks.cards.placed({ ...machine.record, nics: [...machine.record.nics, nic] });
  const placed = nics.at(-1) as NicRecord;
  try {
    await machine.update((record) => ({ nics: [...record.nics, placed] }));
  } finally {
    machines.networks.cards.entered(machine.id);
  }
  await machines.networks.changed();
}

/** Its process gets the card. Repeatable. */
export async function plugIn(machine: Machine, machines: Machines, id: string, signal: AbortSignal): Promise<void> {
  const { live } = machine;
  if (!live) return;
  const nic = cardOf(machine, id);
  const plugged = await machines.networks.plug(machine, [nic]);
  machines.networks.has(machine.id, live.process);
  if (!plugged) return;
  if (await hasCard(live.qmp, id)) return void (await setCable(live.qmp, id, nic.up));
  // Half of it may have been done by a daemon that died.
  await removeNetdev(live.qmp, id);
  const { enter, program } = plugged;
  await plugCard(
    { ...nic, announces: machine.record.started?.announces ?? false, queueReset: machine.record.started?.queueReset ?? false },
    { enter, program, tap: tapOf(machine.id, id), socket: machine.paths.cards },
    signal,
  );
  if (!nic.up) await setCable(live.qmp, id, false);
}

/** Its process gives the card back. Repeatable. */
export async function pullOut(machine: Machine, id: string, signal: AbortSignal): Promise<void> {
  if (machine.live) await pullCard(machine.live.qmp, id, signal);
}

/** Repeatable. */
export async function dropCard(machine: Machine, machines: Machines, id: string): Promise<void> {
  if (!machine.record.nics.some((nic) => nic.id === id)) return;
  await machine.update((record) => ({ nics: record.nics.filter((nic) => nic.id !== id) }));
  await machines.networks.changed();
}

/** Repeatable. @throws where the kernel does not take it */
export async function setGuard(machine: Machine, machines: Machines, id: string, guard: Partial<NicGuard>): Promise<void> {
  cardOf(machine, id);
  await machine.update((record) => ({ nics: record.nics.map((nic) => (nic.id === id ? { ...nic, ...guard } : nic)) }));
  await machines.networks.bring();
}

/** Repeatable. */
export async function setLink(machine: Machine, machines: Machines, id: string, up: boolean): Promise<void> {
  cardOf(machine, id);
  await machine.update((record) => ({ nics: record.nics.map((nic) => (nic.id === id ? { ...nic, up } : nic)) }));
  if (machine.live) await setCable(machine.live.qmp, id, up);
  await machines.networks.changed();
}
