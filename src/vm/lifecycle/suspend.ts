// Suspend to disk: the VM is captured as for a snapshot and stays paused while its memory is written; then its process ends. That snapshot is
// the suspended state and is not shown. A process without memory layers (a host without the preload library) writes memory and devices
// into a state file of the VM instead.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Progress } from '../../contract/task.ts';
import { makeDurable } from '../../host/file/durable.ts';
import { cont, pausedAgain, queryStatus, stop as stopCpus } from '../../qemu/command.ts';
import type { QmpConnection } from '../../qemu/qmp.ts';
import { saveState, stopSaving } from '../../qemu/state.ts';
import { type Freezing, freeze, planSnapshot } from '../capture/capture.ts';
import { stopFlattening } from '../capture/flatten-chain.ts';
import { recordChecksums } from '../capture/snapshot-files.ts';
import { writeMemory } from '../capture/write-memory.ts';
import { makeOwnFile } from '../files.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { reconcile } from './reconcile-record.ts';
import { endQemu } from './stop.ts';

/** An end that was not our child's is noticed within 2 s (qemu/process.ts). */
const exitDeadlineMs = 5000;

/** The snapshot that holds the suspended state; null: a state file. Nothing changes yet. */
export function planSuspend(vm: Vm, services: Uses<'paths' | 'clock'>): Freezing | null {
  if (!existsSync(vm.paths.memory)) return null;
  return planSnapshot(vm, services, { kind: 'suspend', label: null, memory: true, template: false, auto: null });
}

/** Saves the state with the CPUs paused. Repeatable: a state that is complete is left alone. */
export async function save(
  vm: Vm,
  services: Uses<'snapshots' | 'processes' | 'paths' | 'bus'>,
  freezing: Freezing | null,
  signal: AbortSignal,
  progress: (progress: Progress) => void,
): Promise<void> {
  if (vm.record.state === 'suspended') return;
  const live = vm.alive();
  const { qmp } = live;
  // A guest that a full disk has paused would continue as soon as there is room. For its user it runs, and it continues should this
  // fail; a guest that was paused on request does not.
  if (vm.runtime.isDiskFull && vm.record.state === 'paused') await vm.setState('running', null);
  const onProgress = (done: number, total: number) => progress({ message: `saving the memory of ${vm.name}`, done, total, unit: 'bytes' });
  if (freezing) {
    await freeze(vm, services, freezing, true, { goOn: false });
    await recordChecksums(services, freezing.snapshot.id);
    await writeMemory(services, freezing.snapshot.id, signal, onProgress);
    return services.bus.emit('snapshot.taken', { snapshot: freezing.snapshot.id });
  }
  await stopFlattening(vm);
  await stopSaving(qmp);
  const { status } = await queryStatus(qmp);
  vm.runtime.stayFrozen();
  if (status !== 'postmigrate') {
    await stopCpus(qmp);
    await makeOwnFile(vm.paths.suspendState, vm.record);
    await saveState(qmp, vm.paths.suspendState, { signal, onProgress });
  }
  // Its process is ended next, and then the file is all there is of the guest's memory.
  await makeDurable(vm.paths.suspendState);
}

/** Continues the guest; where its process has ended already, it stays suspended. Repeatable. */
export async function unsave(vm: Vm, services: Uses<'processes'>, freezing: Freezing | null): Promise<void> {
  const process = await services.processes.of(vm);
  if (!process && vm.record.state === 'suspended') return;
  vm.runtime.abandonEnd();
  const { live } = vm;
  // Its process ended by itself, which is being recorded with its reason (qemu-events.ts).
  const isRecorded = () => vm.record.state !== 'running' && vm.record.state !== 'paused';
  if (!process) await vm.until(isRecorded, AbortSignal.timeout(exitDeadlineMs)).catch(() => {});
  if (process && live) {
    await stopSaving(live.qmp);
    vm.runtime.unfreeze();
    await goOn(live.qmp, vm.record.state === 'paused');
  }
  await reconcile(vm, services);
  if (process && vm.record.state !== 'running' && vm.record.state !== 'paused') await vm.setState('running', null);
  if (freezing && vm.record.resumeFrom === freezing.snapshot.id) await vm.update(() => ({ resumeFrom: null }));
  await rm(vm.paths.suspendState, { force: true });
}

async function goOn(qmp: QmpConnection, paused: boolean): Promise<void> {
  if (!paused) await cont(qmp);
  else if ((await queryStatus(qmp)).status === 'postmigrate') await pausedAgain(qmp);
}

/** Records `suspended` and ends the process. Repeatable. */
export async function endSuspended(vm: Vm, services: Uses<'networks' | 'processes'>, freezing: Freezing | null): Promise<void> {
  vm.runtime.beginEnd(); // what is saved is complete: the process may end by itself
  try {
    const resumeFrom = freezing?.snapshot.id ?? null;
    if (vm.record.state !== 'suspended') await vm.update(() => ({ state: 'suspended', stateReason: null, resumeFrom }));
    await endQemu(vm, services);
  } finally {
    vm.runtime.abandonEnd();
  }
}
