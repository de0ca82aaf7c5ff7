// Ending a VM: its guest is asked to shut down, and after the deadline its process is ended by force.
import { rm } from 'node:fs/promises';
import { cont, systemPowerdown } from '../../qemu/command.ts';
import { endTpm } from '../../qemu/tpm.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';
import { endProcess } from './end-process.ts';

/** Records that it is to be stopped, so that no restart policy starts it. Repeatable. */
export async function desireStopped(vm: Vm): Promise<void> {
  vm.runtime.beginEnd();
  if (vm.record.desired !== 'stopped') await vm.update(() => ({ desired: 'stopped' }));
}

/** Asks the guest to power off and waits for it. False: it did not within the deadline. */
export async function askGuest(vm: Vm, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { live } = vm;
  if (!live) return true;
  vm.runtime.beginEnd();
  if (vm.state === 'paused') await cont(live.qmp);
  const asked = [live.agent?.power('poweroff'), systemPowerdown(live.qmp)];
  void Promise.allSettled(asked);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const abandon = () => resolve(false);
  signal.addEventListener('abort', abandon, { once: true });
  void live.process.exited.then(() => resolve(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abandon);
  }
}

/** Ends the process, if any, and removes its sockets; the record and a suspended state stay. Repeatable. */
export async function endQemu(vm: Vm, services: Uses<'networks' | 'processes'>): Promise<void> {
  vm.runtime.beginEnd();
  try {
    const process = vm.live?.process ?? (await services.processes.of(vm));
    if (process) await endProcess(process, vm.paths);
    else await endTpm(vm.paths.tpm);
    vm.runtime.disconnect();
    services.networks.detached(vm.id);
    await rm(vm.paths.run, { recursive: true, force: true });
  } finally {
    vm.runtime.abandonEnd();
  }
}

/** Ends the process, if any, discards a suspended state and records `stopped`. Repeatable. */
export async function endNow(vm: Vm, services: Uses<'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>): Promise<void> {
  vm.runtime.beginEnd();
  try {
    await endQemu(vm, services);
    const { record } = vm;
    if (record.state !== 'stopped' || record.started !== null || record.resumeFrom !== null)
      await vm.update(() => ({ state: 'stopped', stateReason: null, started: null, desired: 'stopped', resumeFrom: null, restarts: 0 }));
    // The record no longer refers to it.
    await discardSuspendedState(record, services);
    await rm(vm.paths.suspendState, { force: true });
  } finally {
    vm.runtime.abandonEnd();
  }
}
