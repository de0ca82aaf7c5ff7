// Starting a VM, cold or from a saved state:
//
//   check-start ─► spawn ─► connect ─► load-state ─► resume
//
// Each step finds what is already there, because the daemon may have died in the middle: a process of the VM is adopted, and not
// started twice.
import { rm } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import { queryStatus } from '../../qemu/command.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import { releaseMeanwhile } from '../confine.ts';
import type { VmConnection } from '../connection.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { connect, openQmp } from './connect.ts';
import { endProcess } from './end-process.ts';
import { explainFailure } from './explain-failure.ts';
import { isLoading, loadSavedState } from './load-state.ts';
import { finishRun, runGuest } from './resume.ts';
import { spawn } from './spawn.ts';

type StartServices = Uses<'vms' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'bootId' | 'resources'>;

/**
 * Starts QEMU, or adopts the process that is there, until its guest runs. Repeatable.
 * @param hold everything is loaded and the guest does not run; the next call runs it
 */
export async function startProcess(
  vm: Vm,
  services: StartServices,
  accel: 'kvm' | 'tcg',
  signal: AbortSignal,
  { hold = false }: { hold?: boolean } = {},
): Promise<void> {
  if (vm.live) {
    if (vm.record.state !== 'suspended') return finishRun(vm);
    if (hold) return;
    if (await answers(vm.live)) return runHeld(vm, services, vm.live, accel);
    await discardHeld(vm, vm.live);
  }
  const incoming = vm.record.state === 'suspended';
  let process = await services.processes.of(vm);
  // Started by a daemon that died before it could record it. It is adopted, unless it may have loaded half of a saved state.
  if (process && incoming && (await isLoading(vm, process, signal))) {
    await endProcess(process, vm.paths);
    process = null;
  }
  vm.runtime.beginStart();
  try {
    process ??= await spawn(vm, services, accel, incoming, signal);
    const connection = connect(vm, services, process, await openQmp(vm, process, signal), { held: hold });
    const { status } = await queryStatus(connection.qmp);
    await loadSavedState(vm, services, connection.qmp, status, signal);
    if (!hold) return await runGuest(vm, services, connection, accel, status);
    if (connection.ended.aborted) throw new VivError('qemu_failed', 'QEMU ended at once');
    vm.runtime.hold();
    releaseMeanwhile(vm, services);
  } catch (error) {
    throw process === null ? abandonStart(vm, error) : await failStart(vm, process, error);
  }
}

const answers = ({ qmp }: VmConnection): Promise<boolean> =>
  queryStatus(qmp).then(
    () => true,
    () => false,
  );

/** Its process ended while it was held, and its guest has not run: another process resumes it. */
async function discardHeld(vm: Vm, connection: VmConnection): Promise<void> {
  vm.runtime.beginStart();
  vm.runtime.disconnect();
  await endProcess(connection.process, vm.paths);
}

/** Runs the guest of a held process; if it cannot run, the process is ended. */
async function runHeld(vm: Vm, services: StartServices, connection: VmConnection, accel: 'kvm' | 'tcg'): Promise<void> {
  vm.runtime.beginStart();
  try {
    connection.expectAgent();
    await runGuest(vm, services, connection, accel, 'paused');
  } catch (error) {
    throw await failStart(vm, connection.process, error);
  }
}

function abandonStart(vm: Vm, error: unknown): unknown {
  vm.runtime.disconnect();
  return error;
}

async function failStart(vm: Vm, process: QemuProcess, error: unknown): Promise<unknown> {
  vm.runtime.beginEnd();
  try {
    vm.runtime.disconnect();
    await endProcess(process, vm.paths);
    await rm(vm.paths.run, { recursive: true, force: true });
  } finally {
    vm.runtime.abandonEnd();
  }
  return explainFailure(error, vm, process);
}
