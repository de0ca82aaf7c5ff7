// Ending a VM: its guest is asked to shut down, and after the deadline its process is ended by force.
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { StateReason } from '../../contract/vm-state.ts';
import { cont, systemPowerdown } from '../../qemu/command.ts';
import { endTpm } from '../../qemu/tpm.ts';
import type { VmConnection } from '../connection.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';
import { endProcess } from './end-process.ts';

/** Records that it is to be stopped, so that no restart policy starts it. Repeatable. */
export async function desireStopped(vm: Vm): Promise<void> {
  vm.runtime.beginEnd();
  if (vm.record.desired !== 'stopped') await vm.update(() => ({ desired: 'stopped' }));
}

/** A guest that is still booting ignores the power button, so it is pressed again, in ms. */
const askAgainMs = 3000;

/**
 * Asks the guest to shut down, through its agent and by ACPI, until its process ends. A guest that is still booting is asked again, and at once
 * when its agent answers.
 * @returns false: it did not within the deadline
 */
export async function askGuest(vm: Vm, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const { live } = vm;
  if (!live) return true;
  vm.runtime.beginEnd();
  if (vm.state === 'paused') await cont(live.qmp);
  const over = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal, live.ended]);
  const ended = live.process.exited.then(() => true);
  void askRepeatedly(live, over);
  void live.waitForAgent(timeoutMs, over).then(
    (agent) => agent.power('poweroff').catch(() => {}),
    () => {}, // without an agent the power button is all there is
  );
  const { promise, resolve } = Promise.withResolvers<boolean>();
  over.addEventListener('abort', () => resolve(false), { once: true });
  if (over.aborted) resolve(false);
  return (await Promise.race([ended, promise])) || hasExited(ended);
}

async function askRepeatedly({ qmp }: VmConnection, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await systemPowerdown(qmp).catch(() => {});
    await delay(askAgainMs, undefined, { ref: false, signal: over }).catch(() => {});
  }
}

/** The connection ends with the process: which of both was noticed first does not matter. */
const hasExited = (ended: Promise<boolean>): Promise<boolean> => Promise.race([ended, delay(exitNoticeMs, false, { ref: false })]);
const exitNoticeMs = 50;

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

/** Ends the process, if any, discards a suspended state and records `stopped`. Repeatable. @param reason shown with the VM */
export async function endNow(
  vm: Vm,
  services: Uses<'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>,
  reason: Omit<StateReason, 'occurredAt'> | null = null,
): Promise<void> {
  vm.runtime.beginEnd();
  try {
    await endQemu(vm, services);
    const { record } = vm;
    if (record.state !== 'stopped' || record.started !== null || record.resumeFrom !== null)
      await vm.update(() => ({
        ...{ state: 'stopped', started: null, desired: 'stopped', resumeFrom: null, restarts: 0 },
        stateReason: reason && { ...reason, occurredAt: Date.now() },
      }));
    // The record no longer refers to it.
    await discardSuspendedState(record, services);
    await rm(vm.paths.suspendState, { force: true });
  } finally {
    vm.runtime.abandonEnd();
  }
}
