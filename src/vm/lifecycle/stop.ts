// Ending a machine: the guest is asked, and after the deadline its process is ended. Also pause, resume and reset.
import { rm } from 'node:fs/promises';
import { cont, stop as stopCpus, systemPowerdown, systemReset } from '../../qemu/command.ts';
import { endTpm } from '../../qemu/tpm.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { dropSleep } from './discard-suspended-state.ts';
import { endProcess, letGo } from './start.ts';

/** Records that it is meant to be stopped, so that no restart policy brings it back. Repeatable. */
export async function wantStopped(machine: Machine): Promise<void> {
  machine.ending = true;
  if (machine.record.wanted !== 'stopped') await machine.update(() => ({ wanted: 'stopped' }));
}

/** Asks the guest to power off and waits for it. False: it did not within the deadline. */
export async function askGuest(machine: Machine, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { live } = machine;
  if (!live) return true;
  machine.ending = true;
  if (machine.record.state === 'paused') await cont(live.qmp);
  const asked = [live.agent?.power('poweroff'), systemPowerdown(live.qmp)];
  void Promise.allSettled(asked);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const giveUp = () => resolve(false);
  signal.addEventListener('abort', giveUp, { once: true });
  void live.process.exited.then(() => resolve(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}

/** Ends the process if there is one, and removes its sockets; the record and a saved state stay as they are. Repeatable. */
export async function endQemu(machine: Machine, machines: Machines): Promise<void> {
  machine.ending = true;
  try {
    const process = machine.live?.process ?? (await machines.processes.of(machine));
    if (process) await endProcess(process, machine.paths);
    else await endTpm(machine.paths.tpm);
    letGo(machine);
    machines.networks.ended(machine.id);
    await rm(machine.paths.run, { recursive: true, force: true });
  } finally {
    machine.ending = false;
  }
}

/** Ends the process if there is one, drops a saved state, and records `stopped`. Repeatable. */
export async function endNow(machine: Machine, machines: Machines): Promise<void> {
  machine.ending = true;
  try {
    await endQemu(machine, machines);
    const { record } = machine;
    if (record.state !== 'stopped' || record.started !== null || record.wakeFrom !== null)
      await machine.update(() => ({ state: 'stopped', stateReason: null, started: null, wanted: 'stopped', wakeFrom: null, restarts: 0 }));
    // Now that nothing says that it sleeps there.
    await dropSleep(record, machines);
    await rm(machine.paths.suspendState, { force: true });
  } finally {
    machine.ending = false;
  }
}

export async function pause(machine: Machine): Promise<void> {
  await stopCpus(machine.alive().qmp);
  await machine.setState('paused', null);
}

export async function resume(machine: Machine): Promise<void> {
  const live = machine.alive();
  const reason = machine.record.stateReason;
  // Recorded first: on a disk that is still full the guest is stopped again at once, and that has to be heard.
  await machine.setState('running', null);
  try {
    await cont(live.qmp);
  } catch (error) {
    if (machine.live === live) await machine.setState('paused', reason);
    throw error;
  }
  // Its clock stood still as well. Not waited for: whatever is asked of its agent next comes after it.
  void live.agent?.configure({ timeMs: Date.now() }).catch(() => {}); // then it is late until its own time service notices
}

export async function reset(machine: Machine): Promise<void> {
  const { qmp } = machine.alive();
  await systemReset(qmp);
  if (machine.record.state === 'paused') await resume(machine);
}
