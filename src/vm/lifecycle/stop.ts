// Ending a VM: the guest is asked, and after the deadline its process is ended. Also pause, resume and reset.
import { rm } from 'node:fs/promises';
import { cont, stop as stopCpus, systemPowerdown, systemReset } from '../../qemu/command.ts';
import { endTpm } from '../../qemu/tpm.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';
import { detach, endProcess } from './start.ts';

/** Records that it is meant to be stopped, so that no restart policy brings it back. Repeatable. */
export async function desireStopped(vm: Vm): Promise<void> {
  vm.ending = true;
  if (vm.record.desired !== 'stopped') await vm.update(() => ({ desired: 'stopped' }));
}

/** Asks the guest to power off and waits for it. False: it did not within the deadline. */
export async function askGuest(vm: Vm, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { live } = vm;
  if (!live) return true;
  vm.ending = true;
  if (vm.record.state === 'paused') await cont(live.qmp);
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

/** Ends the process if there is one, and removes its sockets; the record and a saved state stay as they are. Repeatable. */
export async function endQemu(vm: Vm, services: Uses<'networks' | 'processes'>): Promise<void> {
  vm.ending = true;
  try {
    const process = vm.live?.process ?? (await services.processes.of(vm));
    if (process) await endProcess(process, vm.paths);
    else await endTpm(vm.paths.tpm);
    detach(vm);
    services.networks.ended(vm.id);
    await rm(vm.paths.run, { recursive: true, force: true });
  } finally {
    vm.ending = false;
  }
}

/** Ends the process if there is one, drops a saved state, and records `stopped`. Repeatable. */
export async function endNow(vm: Vm, services: Uses<'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>): Promise<void> {
  vm.ending = true;
  try {
    await endQemu(vm, services);
    const { record } = vm;
    if (record.state !== 'stopped' || record.started !== null || record.resumeFrom !== null)
      await vm.update(() => ({ state: 'stopped', stateReason: null, started: null, desired: 'stopped', resumeFrom: null, restarts: 0 }));
    // Now that nothing says that it sleeps there.
    await discardSuspendedState(record, services);
    await rm(vm.paths.suspendState, { force: true });
  } finally {
    vm.ending = false;
  }
}

export async function pause(vm: Vm): Promise<void> {
  await stopCpus(vm.alive().qmp);
  await vm.setState('paused', null);
}

export async function resume(vm: Vm): Promise<void> {
  const live = vm.alive();
  const reason = vm.record.stateReason;
  // Recorded first: on a disk that is still full the guest is stopped again at once, and that has to be heard.
  await vm.setState('running', null);
  try {
    await cont(live.qmp);
  } catch (error) {
    if (vm.live === live) await vm.setState('paused', reason);
    throw error;
  }
  // Its clock stood still as well. Not waited for: whatever is asked of its agent next comes after it.
  void live.agent?.configure({ timeMs: Date.now() }).catch(() => {}); // then it is late until its own time service notices
}

export async function reset(vm: Vm): Promise<void> {
  const { qmp } = vm.alive();
  await systemReset(qmp);
  if (vm.record.state === 'paused') await resume(vm);
}
