// The warm-pool room: forks of a snapshot that are loaded and wait before their guest's next instruction, so that taking one is instant.
// It owns the pools' records (records.ts), their members (this file) and filling them (replenisher.ts). Members are VMs of vm/, whose record
// names the pool and is not complete.
//
//   created ─► ready (held) ─► chosen ─► taken: a VM like any other
//                 └─► evicted: memory is scarce, the pool is smaller or removed

import { readFile } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { removeFiles } from '../vm/files.ts';
import { endNow } from '../vm/lifecycle/stop.ts';
import { dropVm, renameVm } from '../vm/register.ts';
import { nameTaken } from '../vm/registry.ts';
import type { Vm } from '../vm/vm.ts';
import type { Uses } from './services.ts';

/** The name that a VM has until it is taken. */
export const readyName = (id: string): string => `ready-${id}`;

export const isMember = ({ record }: Vm): boolean => record.warmPool !== null && !record.complete;

/** Its process has loaded everything; its guest can run at once. */
export const isReady = (vm: Vm): boolean => isMember(vm) && vm.live !== null && vm.record.state === 'suspended';

/** All members of a warm pool, incomplete ones included. */
export const membersOf = (services: Uses<'vms'>, warmPool: string): Vm[] =>
  services.vms.all().filter((vm) => vm.record.warmPool === warmPool && isMember(vm));

/** Those that can be taken, oldest first. */
export const readyIn = (services: Uses<'vms' | 'warmPools'>, warmPool: string): Vm[] =>
  membersOf(services, warmPool)
    .filter((vm) => isReady(vm) && !services.warmPools.isChosen(vm))
    .sort((one, other) => one.record.createdAt - other.record.createdAt);

/** Makes it a VM like any other. Repeatable with the same name. @throws name_taken, busy when it is no member any more */
export async function enter(services: Uses<'vms' | 'networks'>, id: string, name: string, createdAt: number): Promise<Vm> {
  const vm = services.vms.byId(id);
  if (vm?.record.complete && vm.name === name) return vm;
  if (!vm || !isReady(vm)) throw new VivError('busy', `the member chosen to be ${name} has ended. Try again`);
  if (name !== vm.name && services.vms.nameTaken(name)) throw nameTaken(name);
  await renameVm(vm, name, services, () => {
    if (!isReady(vm)) throw new VivError('busy', `the member chosen to be ${name} was evicted in the meantime. Try again`);
    return { complete: true, warmPool: null, createdAt };
  });
  return vm;
}

/** Ends and removes a member. Nothing happens when it has been taken. Repeatable. */
export async function evict(
  vm: Vm,
  services: Uses<'vms' | 'warmPools' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>,
): Promise<boolean> {
  if (services.vms.byId(vm.id) !== vm || !isMember(vm) || services.warmPools.isChosen(vm)) return false;
  // From here on it cannot be taken; if the daemon dies now, it is swept.
  let isMine = true;
  await vm.update((record) => {
    isMine = record.warmPool !== null && !record.complete && !services.warmPools.isChosen(vm);
    return isMine ? { warmPool: null } : {};
  });
  if (!isMine) return false;
  await endNow(vm, services);
  await removeFiles(vm.record, services);
  await dropVm(vm.id, services);
  return true;
}

/** Memory that the VMs in a warm pool hold, in bytes: their share of what they have in common with others counted once. */
export async function heldBytes(vms: readonly Vm[]): Promise<number> {
  const each = await Promise.all(vms.map(({ live }) => (live ? proportionalBytes(live.process.pid) : 0)));
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

/** PSS (proc(5), smaps_rollup). 0 for a process that has ended. */
async function proportionalBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
