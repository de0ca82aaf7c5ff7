// On the daemon's return: every machine whose process goes on is taken up again, every one whose process has ended is shown
// with its reason, and processes and folders that belong to no machine are removed.
import { rmSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskProblem, queryStatus } from '../../qemu/command.ts';
import { findProcesses, lastWords, type QemuProcess } from '../../qemu/process.ts';
import { connectQmp } from '../../qemu/qmp.ts';
import { findTpms } from '../../qemu/tpm.ts';
import { isMember, isReady } from '../../warm-pool/members.ts';
import { watchTpm } from '../device/tpm.ts';
import { removeFiles } from '../files.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { dropSleep } from './discard-suspended-state.ts';
import { hearStatus, stoppedBy } from './qemu-events.ts';
import { recordEnd } from './record-exit.ts';
import { attach, endProcess } from './start.ts';
import { endNow } from './stop.ts';

const deadlineMs = 10_000;

export interface Adopted {
  adopted: string[];
  ended: string[];
}

/** Takes up all machines, several at once. Never throws for one of them: it is shown as broken instead. */
export async function adoptAll(machines: Machines, signal: AbortSignal): Promise<Adopted> {
  const result: Adopted = { adopted: [], ended: [] };
  await Promise.all(
    machines.all().map(async (machine) => {
      try {
        const outcome = await adopt(machine, machines, signal);
        if (outcome !== null) result[outcome].push(machine.name);
      } catch (error) {
        machines.host.log.error({ machine: machine.name, error }, 'a machine could not be adopted');
        const message = `its QEMU process does not answer: ${(error as Error).message}`;
        await machine.setState('broken', { code: 'qemu_exited', message }).catch((full: unknown) => {
          machines.host.log.error({ machine: machine.name, error: full }, 'and that could not be recorded');
        });
        void watchEnd(machine, machines).catch((full: unknown) => {
          machines.host.log.error({ machine: machine.name, error: full }, 'its end could not be recorded');
        });
      }
    }),
  );
  await watchTpms(machines);
  return result;
}

async function watchTpms(machines: Machines): Promise<void> {
  if (!machines.all().some(({ live, record }) => live && record.started?.tpm)) return;
  for (const { folder, process } of await findTpms(`${machines.host.paths.vms}/`)) {
    const machine = machineOf(folder, machines);
    if (machine?.live) void watchTpm(machine, machine.live.process, process.exited);
  }
}

/** Whose TPM keeps its state in this folder. */
const machineOf = (folder: string, machines: Machines): Machine | undefined => machines.byId(basename(dirname(folder)));

async function adopt(machine: Machine, machines: Machines, signal: AbortSignal): Promise<keyof Adopted | null> {
  const { record } = machine;
  if (isMember(machine)) return adoptReady(machine, machines, signal);
  const thoughtAlive = record.state === 'running' || record.state === 'paused' || (record.state === 'broken' && record.started !== null);
  // A start that was under way is finished by its task; what is to follow an end that is recorded, by the keeper.
  if (!thoughtAlive) return null;
  // No process outlives a boot of the host, and looking for one means reading all of them.
  const process = record.bootId === machines.host.bootId ? await machines.processes.of(machine) : null;
  if (process) {
    await takeUp(machine, machines, process, signal);
    return 'adopted';
  }
  if (record.state === 'broken') return null;
  await endedAway(machine, machines);
  return 'ended';
}

/** One that is half-made, or does not answer, is taken up by the task that makes it, or swept. */
async function adoptReady(machine: Machine, machines: Machines, signal: AbortSignal): Promise<keyof Adopted | null> {
  if (machine.record.state !== 'suspended') return null;
  const process = await machines.processes.of(machine);
  const qmp = process && (await connectQmp(machine.paths.qmp, { timeoutMs: deadlineMs, signal, exited: process.exited }).catch(() => null));
  if (!process || !qmp) return null;
  const { status } = await queryStatus(qmp);
  if (status === 'paused' || status === 'prelaunch') {
    attach(machine, machines, process, qmp, { held: true });
    return 'adopted';
  }
  qmp.close();
  return null;
}

async function takeUp(machine: Machine, machines: Machines, process: QemuProcess, signal: AbortSignal): Promise<void> {
  const qmp = await connectQmp(machine.paths.qmp, { timeoutMs: deadlineMs, signal, exited: process.exited });
  const live = attach(machine, machines, process, qmp);
  const { status } = await queryStatus(live.qmp);
  hearStatus(machine, live, status);
  const { record } = machine;
  const problem = await diskProblem(live.qmp);
  if (problem) {
    live.starved = problem.full;
    // On a disk that is full it may not be possible to record it.
    await machine
      .setState('paused', stoppedBy(problem, machine.name))
      .catch((error: unknown) => machine.tell({ type: 'event', machine, what: 'problem', message: (error as Error).message }));
  } else if (status === 'running' && record.state !== 'running') await machine.setState('running', null);
  else if (status === 'paused' && record.state !== 'paused') await machine.setState('paused', record.stateReason);
}

/** A process that was not taken up may end all the same, perhaps in this very moment. */
async function watchEnd(machine: Machine, machines: Machines): Promise<void> {
  const reason = machine.record.stateReason;
  const process = await machines.processes.of(machine);
  await process?.exited;
  const words = await lastWords(machine.paths.qemuLog, process?.logOffset ?? 0);
  // Whoever has changed it meanwhile knows better.
  if (machine.live || machine.ending || machine.record.state !== 'broken' || machine.record.stateReason !== reason) return;
  rmSync(machine.paths.run, { recursive: true, force: true });
  const message = `its QEMU process ended while it was taken up again${words === '' ? '' : `: ${words}`}`;
  await machine.setState('broken', { code: 'qemu_exited', message });
  machine.tell({ type: 'ended', machine, failed: true, message });
}

/** It ended while no daemon was there to see how. */
async function endedAway(machine: Machine, machines: Machines): Promise<void> {
  const restarted = machine.record.bootId !== machines.host.bootId;
  const words = restarted ? '' : await lastWords(machine.paths.qemuLog, 0);
  const message = restarted ? 'the host restarted' : `it ended while the daemon was away${words === '' ? '' : `: ${words}`}`;
  await rm(machine.paths.run, { recursive: true, force: true });
  const reason = { code: restarted ? 'host_restarted' : 'qemu_exited', message, at: Date.now() } as const;
  const told = () => machine.tell({ type: 'ended', machine, failed: true, message });
  await recordEnd(machine, () => ({ state: 'stopped', stateReason: reason }), told);
}

export interface Swept {
  /** Names of machines that were half-made or half-removed and that no task goes on with. */
  machines: string[];
  processes: number;
  folders: number;
  /** Ids of machines that have disks here and that the store does not know (it was moved away): all of theirs is left alone. */
  left: string[];
}

/** Removes what of this home nobody owns. Called after unfinished tasks have ended; `busy` tells whether one is under way on a machine. */
export async function sweep(machines: Machines, busy: (machine: Machine) => boolean): Promise<Swept> {
  const standsReady = (machine: Machine) => isReady(machine) && machines.pools.byName(machine.record.pool ?? '') !== undefined;
  const halves = machines.all().filter((machine) => !machine.record.complete && !standsReady(machine) && !busy(machine));
  for (const machine of halves) {
    await endNow(machine, machines);
    await removeFiles(machine.record, machines.host);
    await machines.drop(machine.id);
    machine.tell({ type: 'event', machine, what: 'removed', message: `what was left of ${machine.name} was removed` });
  }
  // A daemon has died between waking a machine, or ending it, and forgetting what it slept at.
  for (const point of machines.points.all().filter(({ kind }) => kind === 'suspend')) {
    const machine = machines.byId(point.vm);
    if (machine && (busy(machine) || machine.record.wakeFrom === point.id)) continue;
    await dropSleep({ wakeFrom: point.id }, machines);
  }
  const { vms, run } = machines.host.paths;
  const left = new Set<string>();
  // Asked at each look, because machines are made meanwhile; each is entered before it has a folder or a process.
  const owned = async (id: string) => {
    if (machines.knows(id)) return true;
    if (!(await holdsDisk(join(vms, id)))) return false;
    left.add(id);
    return true;
  };
  let processes = 0;
  let folders = 0;
  for (const { marker, process } of await findProcesses(machines.processes.prefix)) {
    const id = marker.slice(machines.processes.prefix.length);
    if (await owned(id)) continue;
    await endProcess(process, machines.host.paths.vm(id));
    processes += 1;
  }
  processes += await endStrayTpms(machines, busy);
  for (const folder of [vms, join(run, 'vms')]) {
    for (const id of await readdir(folder).catch(() => [])) {
      if (await owned(id)) continue;
      await rm(join(folder, id), { recursive: true, force: true });
      folders += 1;
    }
  }
  return { machines: halves.map(({ name }) => name), processes, folders, left: [...left] };
}

/** TPMs that were started for a QEMU which never was. */
async function endStrayTpms(machines: Machines, busy: (machine: Machine) => boolean): Promise<number> {
  let ended = 0;
  for (const { folder, process } of await findTpms(`${machines.host.paths.vms}/`)) {
    const machine = machineOf(folder, machines);
    if (machine && (machine.live || busy(machine) || (await machines.processes.of(machine)))) continue;
    await process.kill();
    ended += 1;
  }
  return ended;
}

/** What a guest has written: no record that is missing is a reason to lose it. */
async function holdsDisk(folder: string): Promise<boolean> {
  const files = await readdir(folder).catch(() => []);
  return files.some((file) => file.endsWith('.qcow2') || file.endsWith('.raw'));
}
