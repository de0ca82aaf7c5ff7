// When a daemon starts: every VM whose process runs is adopted, every VM whose process has ended is shown with its reason, and processes
// and folders that belong to no VM are removed.
import { rmSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { queryStatus } from '../../qemu/command.ts';
import { findProcesses, lastWords, type QemuProcess } from '../../qemu/process.ts';
import { connectQmp } from '../../qemu/qmp.ts';
import { findTpms } from '../../qemu/tpm.ts';
import { releaseMeanwhile } from '../confine.ts';
import { watchTpm } from '../device/tpm.ts';
import { removeFiles } from '../files.ts';
import { dropVm } from '../register.ts';
import { adoptLimits, placeProcess } from '../resource/apply.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { connect } from './connect.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';
import { endProcess } from './end-process.ts';
import { applyStatus } from './qemu-events.ts';
import { recordEnd } from './record-exit.ts';
import { adoptLater, recordStatus } from './responding.ts';
import { endNow } from './stop.ts';

const deadlineMs = 10_000;

export interface Adopted {
  adopted: string[];
  ended: string[];
}

/**
 * Adopts all VMs, several at once. Never throws for one of them: it is shown as broken instead.
 * @param isWarm whether a VM is a member of a warm pool
 */
export async function adoptAll(
  services: Uses<'vms' | 'networks' | 'processes' | 'paths' | 'log' | 'bootId' | 'resources'>,
  isWarm: (vm: Vm) => boolean,
  signal: AbortSignal,
): Promise<Adopted> {
  const result: Adopted = { adopted: [], ended: [] };
  await Promise.all(
    services.vms.all().map(async (vm) => {
      try {
        const outcome = await adopt(vm, services, isWarm, signal);
        if (outcome !== null) result[outcome].push(vm.name);
      } catch (error) {
        if (await adoptWhenItAnswers(vm, services, error, signal)) return;
        services.log.error({ vm: vm.name, error }, 'a VM could not be adopted');
        const message = `its QEMU process does not answer: ${(error as Error).message}`;
        await vm.setState('broken', { code: 'qemu_exited', message }).catch((full: unknown) => {
          services.log.error({ vm: vm.name, error: full }, 'and that could not be recorded');
        });
        void watchEnd(vm, services).catch((full: unknown) => {
          services.log.error({ vm: vm.name, error: full }, 'its end could not be recorded');
        });
      }
    }),
  );
  await watchTpms(services);
  return result;
}

async function watchTpms(services: Uses<'vms' | 'paths'>): Promise<void> {
  if (!services.vms.all().some(({ live, record }) => live && record.started?.tpm)) return;
  for (const { folder, process } of await findTpms(`${services.paths.vms}/`)) {
    const vm = vmOf(folder, services);
    if (vm?.live) void watchTpm(vm, vm.live.process, process.exited);
  }
}

/** The VM whose TPM has its state in this folder. */
const vmOf = (folder: string, services: Uses<'vms'>): Vm | undefined => services.vms.byId(basename(dirname(folder)));

async function adopt(
  vm: Vm,
  services: Uses<'networks' | 'processes' | 'paths' | 'bootId' | 'resources'>,
  isWarm: (vm: Vm) => boolean,
  signal: AbortSignal,
): Promise<keyof Adopted | null> {
  const { record } = vm;
  if (vm.unreadable !== null) return null;
  if (isWarm(vm)) return adoptReady(vm, services, signal);
  const thoughtAlive = record.state === 'running' || record.state === 'paused' || (record.state === 'broken' && record.started !== null);
  // A start that was in progress is completed by its task, and what follows a recorded end by the supervisor.
  if (!thoughtAlive) return null;
  // No process outlives a boot of the host, and looking for one means reading all of them.
  const process = record.bootId === services.bootId ? await services.processes.of(vm) : null;
  if (process) {
    await adoptProcess(vm, services, process, signal);
    return 'adopted';
  }
  if (record.state === 'broken') return null;
  await endedAway(vm, services);
  return 'ended';
}

/** A member that is incomplete or does not answer is adopted by the task that creates it, or removed by sweep(). */
async function adoptReady(
  vm: Vm,
  services: Uses<'networks' | 'processes' | 'paths' | 'resources'>,
  signal: AbortSignal,
): Promise<keyof Adopted | null> {
  if (vm.record.state !== 'suspended') return null;
  const process = await services.processes.of(vm);
  const qmp = process && (await connectQmp(vm.paths.qmp, { timeoutMs: deadlineMs, signal, exited: process.exited }).catch(() => null));
  if (!process || !qmp) return null;
  const { status } = await queryStatus(qmp);
  if (status === 'paused' || status === 'prelaunch') {
    connect(vm, services, process, qmp, { held: true });
    placeProcess(vm.id, process, services);
    vm.runtime.hold();
    releaseMeanwhile(vm, services);
    return 'adopted';
  }
  qmp.close();
  return null;
}

async function adoptProcess(
  vm: Vm,
  services: Uses<'networks' | 'paths' | 'resources'>,
  process: QemuProcess,
  signal: AbortSignal,
): Promise<void> {
  const qmp = await connectQmp(vm.paths.qmp, { timeoutMs: deadlineMs, signal, exited: process.exited });
  const live = connect(vm, services, process, qmp);
  adoptLimits(vm, live, services);
  releaseMeanwhile(vm, services);
  const { status } = await queryStatus(live.qmp);
  applyStatus(vm, live, status);
  const { state, stateReason } = vm.record;
  if (status === 'paused' && state !== 'paused') await vm.setState('paused', stateReason);
  else await recordStatus(vm, live, status, { adopted: true });
}

/** True: its process runs and does not answer; it is shown so, and adopted as soon as it does. */
async function adoptWhenItAnswers(
  vm: Vm,
  services: Uses<'networks' | 'processes' | 'paths' | 'log' | 'resources'>,
  error: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  const process = error instanceof VivError && error.code === 'timeout' ? await services.processes.of(vm) : null;
  if (!process) return false;
  // Its connection, if there is one already, is asked until it answers (responding.ts).
  if (vm.live) return true;
  void adoptLater(vm, process, () => adoptProcess(vm, services, process, signal), services, signal).then(async () => {
    if (signal.aborted || vm.live || vm.runtime.notRespondingSince === null) return;
    vm.runtime.respond();
    rmSync(vm.paths.run, { recursive: true, force: true });
    const message = 'its QEMU process ended without having answered';
    const reason = { code: 'qemu_exited', message, occurredAt: Date.now() } as const;
    await recordEnd(
      vm,
      () => ({ state: 'broken', stateReason: reason }),
      () => vm.reportEnd(true, message),
    );
  });
  return true;
}

/** A process that could not be adopted may end. */
async function watchEnd(vm: Vm, services: Uses<'processes'>): Promise<void> {
  const reason = vm.record.stateReason;
  const process = await services.processes.of(vm);
  await process?.exited;
  const words = await lastWords(vm.paths.qemuLog, process?.logOffset ?? 0);
  // A verb has changed the record since.
  if (vm.live || vm.runtime.isEndExpected || vm.record.state !== 'broken' || vm.record.stateReason !== reason) return;
  rmSync(vm.paths.run, { recursive: true, force: true });
  const message = `its QEMU process ended while it was adopted${words === '' ? '' : `: ${words}`}`;
  await vm.setState('broken', { code: 'qemu_exited', message });
  vm.reportEnd(true, message);
}

/** It ended while no daemon ran. */
async function endedAway(vm: Vm, services: Uses<'bootId'>): Promise<void> {
  const restarted = vm.record.bootId !== services.bootId;
  const words = restarted ? '' : await lastWords(vm.paths.qemuLog, 0);
  const message = restarted ? 'the host restarted' : `it ended while the daemon was away${words === '' ? '' : `: ${words}`}`;
  await rm(vm.paths.run, { recursive: true, force: true });
  const reason = { code: restarted ? 'host_restarted' : 'qemu_exited', message, occurredAt: Date.now() } as const;
  const report = () => vm.reportEnd(true, message);
  await recordEnd(vm, () => ({ state: 'stopped', stateReason: reason }), report);
}

export interface Swept {
  /** Names of incomplete VMs that no task continues. */
  vms: string[];
  processes: number;
  folders: number;
}

/** Removes what belongs to no VM and no task. Called after unfinished tasks have ended; `busy`: a task runs on the VM. */
export async function sweep(
  services: Uses<'vms' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>,
  isKept: (vm: Vm) => boolean,
  busy: (vm: Vm) => boolean,
): Promise<Swept> {
  const halves = services.vms.all().filter((vm) => !isKept(vm) && !busy(vm));
  for (const vm of halves) {
    await endNow(vm, services);
    await removeFiles(vm.record, services);
    await dropVm(vm.id, services);
    vm.report('vm.removed', `what was left of ${vm.name} was removed`);
  }
  // A daemon died between resuming a VM, or ending it, and discarding its suspended state.
  for (const snapshot of services.snapshots.all().filter(({ kind }) => kind === 'suspend')) {
    const vm = services.vms.byId(snapshot.vm);
    if (vm && (busy(vm) || vm.record.resumeFrom === snapshot.id)) continue;
    await discardSuspendedState({ resumeFrom: snapshot.id }, services);
  }
  const { vms: vmsFolder, run } = services.paths;
  // Asked each time, because VMs are created in the meantime; each is registered before it has a folder or a process.
  const owned = (id: string) => services.vms.byId(id) !== undefined;
  let processes = 0;
  let folders = 0;
  for (const { marker, process } of await findProcesses(services.processes.prefix)) {
    const id = marker.slice(services.processes.prefix.length);
    if (owned(id)) continue;
    await endProcess(process, services.paths.vm(id));
    processes += 1;
  }
  processes += await endStrayTpms(services, busy);
  for (const folder of [vmsFolder, join(run, 'vms')]) {
    for (const id of await readdir(folder).catch(() => [])) {
      if (owned(id)) continue;
      await rm(join(folder, id), { recursive: true, force: true });
      folders += 1;
    }
  }
  return { vms: halves.map(({ name }) => name), processes, folders };
}

/** TPMs of a QEMU that was never started. */
async function endStrayTpms(services: Uses<'vms' | 'processes' | 'paths'>, busy: (vm: Vm) => boolean): Promise<number> {
  let ended = 0;
  for (const { folder, process } of await findTpms(`${services.paths.vms}/`)) {
    const vm = vmOf(folder, services);
    if (vm && (vm.live || busy(vm) || (await services.processes.of(vm)))) continue;
    await process.kill();
    ended += 1;
  }
  return ended;
}
