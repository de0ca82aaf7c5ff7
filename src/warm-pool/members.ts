// The machines that stand ready in a pool: which there are, what they hold, and how one is taken or given up.
import { readFile } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { removeFiles } from '../vm/files.ts';
import { endNow } from '../vm/lifecycle/stop.ts';
import { type Machines, nameTaken } from '../vm/registry.ts';
import type { Machine } from '../vm/vm.ts';

/** The name that a machine has until it is taken. */
export const readyName = (id: string): string => `ready-${id}`;

export const isMember = ({ record }: Machine): boolean => record.pool !== null && !record.complete;

/** Its process has loaded everything: one word to it and the guest goes on. */
export const isReady = (machine: Machine): boolean => isMember(machine) && machine.live !== null && machine.record.state === 'suspended';

/** All of a pool, those that are being made as well. */
export const membersOf = (machines: Machines, pool: string): Machine[] =>
  machines.all().filter((machine) => machine.record.pool === pool && isMember(machine));

/** Those that can be taken, oldest first. */
export const readyIn = (machines: Machines, pool: string): Machine[] =>
  membersOf(machines, pool)
    .filter((machine) => isReady(machine) && !machines.pools.isChosen(machine))
    .sort((one, other) => one.record.createdAt - other.record.createdAt);

/** It is a machine like any other from now on. Repeatable with the same name. @throws name_taken, busy when it is not in the pool any more */
export async function enter(machines: Machines, id: string, name: string, createdAt: number): Promise<Machine> {
  const machine = machines.byId(id);
  if (machine?.record.complete && machine.name === name) return machine;
  if (!machine || !isReady(machine)) throw new VivError('busy', `the machine chosen to be ${name} is not ready any more; try again`);
  if (name !== machine.name && machines.nameTaken(name)) throw nameTaken(name);
  await machines.rename(machine, name, () => {
    if (!isReady(machine)) throw new VivError('busy', `the machine chosen to be ${name} was given up meanwhile; try again`);
    return { complete: true, pool: null, createdAt };
  });
  return machine;
}

/** Ends it and removes what is its. Not when someone has taken it: then nothing happens. Repeatable. */
export async function giveUp(machine: Machine, machines: Machines): Promise<boolean> {
  if (machines.byId(machine.id) !== machine || !isMember(machine) || machines.pools.isChosen(machine)) return false;
  // From here on nobody takes it; left like this by a daemon that dies, it is swept.
  let mine = true;
  await machine.update((record) => {
    mine = record.pool !== null && !record.complete && !machines.pools.isChosen(machine);
    return mine ? { pool: null } : {};
  });
  if (!mine) return false;
  await endNow(machine, machines);
  await removeFiles(machine.record, machines.host);
  await machines.drop(machine.id);
  return true;
}

/** Memory that the machines in a pool hold, in bytes: their share of what they have in common with others counted once. */
export async function heldBytes(machines: readonly Machine[]): Promise<number> {
  const each = await Promise.all(machines.map(({ live }) => (live ? proportionalBytes(live.process.pid) : 0)));
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

/** PSS (proc(5), smaps_rollup). 0 for a process that has ended. */
async function proportionalBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
