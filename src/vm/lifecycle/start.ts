// Starting a machine's QEMU, cold or from a saved state. Every step finds out what is already there, because the daemon may
// have died in the middle: a process of ours is taken up again instead of being started twice.
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { VivError } from '../../contract/errors.ts';
import { GiB, MiB } from '../../contract/field.ts';
import { availableMemory } from '../../host/memory.ts';
import { qemuArguments } from '../../qemu/args/build.ts';
import { findQemu } from '../../qemu/binary.ts';
import { cont, queryStatus } from '../../qemu/command.ts';
import { findFirmware } from '../../qemu/firmware-files.ts';
import { firstFreeFd } from '../../qemu/memory.ts';
import { setCable } from '../../qemu/nic.ts';
import { lastWords, type QemuProcess, startQemu } from '../../qemu/process.ts';
import { connectQmp, type QmpConnection, QmpError } from '../../qemu/qmp.ts';
import { loadDevices, loadState } from '../../qemu/state.ts';
import { endTpm, findSwtpm, type Tpm } from '../../qemu/tpm.ts';
import { filesOfPoint } from '../../snapshot/check-files.ts';
import { flattenMeanwhile } from '../capture/flatten-chain.ts';
import type { PointRecord } from '../capture/snapshot-record.ts';
import { slotsOf } from '../device/nics.ts';
import { rotate } from '../device/serial-log.ts';
import { withTaps } from '../device/tap-descriptors.ts';
import { openTpm, watchTpm } from '../device/tpm.ts';
import { checkFiles, makeFirmwareVars, makeRunFiles, missing } from '../files.ts';
import { introduce } from '../fork/apply-identity.ts';
import { type OpenMemory, openMemory } from '../memory.ts';
import type { Machines } from '../registry.ts';
import { Live } from '../runtime.ts';
import { qemuConfig, startBoard, startDisks, startOffers, startSettings } from '../spec.ts';
import type { Machine } from '../vm.ts';
import { dropSleep } from './discard-suspended-state.ts';
import { listen } from './qemu-events.ts';

const qmpDeadlineMs = 20_000;
/** What QEMU needs beside the guest's memory: measured 60-90 MiB for q35 with VGA. */
export const overheadBytes = 96 * MiB;

const inUnits = (bytes: number): string => (bytes >= 10 * GiB ? `${Math.round(bytes / GiB)} GiB` : `${Math.ceil(bytes / MiB)} MiB`);

const toStart = 'stop another machine or give it less (--memory, or viv set NAME memory=... for one that is there)';

/** @param guestBytes each machine's, as far as it is not there already. @throws no_memory */
export async function checkMemory(name: string, guestBytes: number, count: number, { host }: Machines, instead = toStart): Promise<void> {
  const needed = (guestBytes + overheadBytes) * count;
  if (needed <= (await availableMemory())) return;
  await host.makeRoom(needed);
  const free = await availableMemory();
  if (needed <= free) return;
  throw new VivError('no_memory', `${name} needs ${inUnits(needed)} of memory and the host has ${inUnits(free)} available; ${instead}`, {
    details: { neededBytes: needed, availableBytes: free },
  });
}

/** Looks at everything that would make a start fail, before anything changes. */
export async function checkStart(machine: Machine, machines: Machines): Promise<{ accel: 'kvm' | 'tcg' }> {
  const { arch } = machine.record;
  const settings = startSettings(machine.record);
  const accel = await machines.host.accelerator(settings.accel);
  await findQemu(arch);
  if (settings.firmware === 'uefi') await findFirmware(arch);
  if (settings.tpm) await findSwtpm();
  await checkFiles(machine.record);
  checkSleep(machine, machines);
  // One that wakes from a point has its memory in common with others until it writes to it.
  await checkMemory(machine.name, machine.record.wakeFrom === null ? settings.memoryBytes : 0, 1, machines);
  if (settings.cpus > Math.max(availableParallelism() * 16, 64))
    throw new VivError('invalid', `${machine.name} asks for ${settings.cpus} CPUs; this host has ${availableParallelism()}`);
  return { accel };
}

/** What it wakes from is not known to be damaged. @throws corrupt */
function checkSleep({ name, record }: Machine, { points, checks, host }: Machines): void {
  const point = record.state === 'suspended' ? points.byId(record.wakeFrom ?? '') : undefined;
  const known = point && checks.damaged(filesOfPoint(point, host.paths));
  if (!known) return;
  throw new VivError(
    'corrupt',
    `${name} cannot wake, because what it sleeps at is damaged: ${known.file} ${known.damage}; put the file back from a copy and look again (viv snapshot verify ${name}), or give its memory up (viv stop ${name})`,
    { details: known },
  );
}

/**
 * Starts QEMU, or takes up the one that is there, until QMP answers and the guest runs. Repeatable.
 * @param hold the guest stands still before its first instruction, in a process that has loaded all of it; the next call lets it run
 */
export async function startProcess(
  machine: Machine,
  machines: Machines,
  accel: 'kvm' | 'tcg',
  signal: AbortSignal,
  { hold = false }: { hold?: boolean } = {},
): Promise<void> {
  if (machine.live) {
    if (machine.record.state !== 'suspended') return letRun(machine);
    if (hold) return;
    if (await answers(machine.live)) return letHeldRun(machine, machines, machine.live, accel);
    // It ended while it stood ready, and its guest has not run: another process wakes it.
    await endQuietly(machine, machine.live);
  }
  const wake = machine.record.state === 'suspended';
  let process = await machines.processes.of(machine);
  // Started by a daemon that died before it could say so. It is taken up, unless it may have loaded half of a saved state.
  if (process && wake && (await isLoading(machine, process, signal))) {
    await endProcess(process, machine.paths);
    process = null;
  }
  machine.ending = true; // until its guest may run, its end is this start's failure and no news
  try {
    process ??= await spawn(machine, machines, accel, wake, signal);
    await takeUp(machine, machines, process, accel, signal, hold);
  } catch (error) {
    letGo(machine);
    if (!process) throw error;
    await endProcess(process, machine.paths);
    await rm(machine.paths.run, { recursive: true, force: true });
    throw await explain(error, machine, process);
  } finally {
    machine.ending = false;
  }
}

/** A daemon that died had recorded the machine as running and not let its guest run. Repeatable. */
export async function letRun(machine: Machine): Promise<void> {
  const { qmp } = machine.alive();
  const { status } = await queryStatus(qmp);
  if (status !== 'prelaunch' && status !== 'paused') return;
  await machine.setState('running', null);
  await cont(qmp);
  await rm(machine.paths.suspendState, { force: true });
}

async function spawn(
  machine: Machine,
  machines: Machines,
  accel: 'kvm' | 'tcg',
  incoming: boolean,
  signal: AbortSignal,
): Promise<QemuProcess> {
  const { record, paths } = machine;
  await makeRunFiles(record, machines.host);
  await makeFirmwareVars(record, machines.host);
  await rotate(paths.serialLog);
  await rotate(paths.qemuLog, MiB);
  const firmware = startSettings(record).firmware === 'uefi' ? await findFirmware(record.arch) : null;
  const binary = await findQemu(record.arch);
  const network = await machines.networks.plug(machine);
  let memory: OpenMemory | null = null;
  let tpm: Tpm | null = null;
  try {
    memory = await openMemory(startSettings(record).memoryBytes, paths.memory, wakesFrom(machine, machines), machines.host.paths);
    tpm = await openTpm(record, paths);
    // What is inherited: its memory, its TPM, its taps.
    const tpmFd = tpm && firstFreeFd(memory.layers);
    const through = network === null ? null : withTaps(record, network, tpmFd === null ? firstFreeFd(memory.layers) : tpmFd + 1);
    const config = qemuConfig(record, paths, {
      marker: machines.processes.marker(machine.id),
      board: startBoard(record, binary.version),
      accel,
      firmwareCode: firmware?.code ?? null,
      memory: memory.layers === null ? 'plain' : 'layers',
      tpmFd,
      incoming,
      ...(through === null ? {} : { taps: through.taps }),
    });
    const started = await startQemu({
      binary: binary.path,
      args: qemuArguments(config),
      marker: config.id,
      identity: record.uid === null ? null : { uid: record.uid, gid: record.uid },
      processFile: paths.process,
      logFile: paths.qemuLog,
      kvm: accel === 'kvm',
      group: record.uid === null || record.family === record.uid ? null : record.family,
      memory: memory.layers,
      tpm: tpm?.fd ?? null,
      through: through?.words ?? [],
      signal,
    });
    if (network !== null) machines.networks.has(machine.id, started);
    if (tpm) void watchTpm(machine, started, tpm.exited);
    return started;
  } catch (error) {
    if (network !== null) machines.networks.unplug(machine.id, null);
    if (tpm) await endTpm(paths.tpm);
    throw error;
  } finally {
    memory?.close();
    tpm?.close();
  }
}

/** The point whose memory it wakes from; null: its own saved state, or none. */
function wakesFrom({ record }: Machine, { points }: Machines): PointRecord | null {
  return record.state === 'suspended' && record.wakeFrom !== null ? points.get(record.wakeFrom) : null;
}

async function isLoading(machine: Machine, process: QemuProcess, signal: AbortSignal): Promise<boolean> {
  const qmp = await connectQmp(machine.paths.qmp, { timeoutMs: qmpDeadlineMs, signal, exited: process.exited });
  try {
    return (await queryStatus(qmp)).status === 'inmigrate';
  } finally {
    qmp.close();
  }
}

async function takeUp(
  machine: Machine,
  machines: Machines,
  process: QemuProcess,
  accel: 'kvm' | 'tcg',
  signal: AbortSignal,
  hold: boolean,
): Promise<void> {
  const qmp = await connectQmp(machine.paths.qmp, { timeoutMs: qmpDeadlineMs, signal, exited: process.exited });
  const live = attach(machine, machines, process, qmp, { held: hold });
  const { status } = await queryStatus(qmp);
  if (status === 'inmigrate') {
    const point = wakesFrom(machine, machines);
    if (point === null) await loadState(qmp, machine.paths.suspendState, { signal });
    else await loadDevices(qmp, machines.host.paths.point(point.id).devices, { signal });
  }
  if (!hold) return go(machine, machines, live, accel, status);
  if (live.ended.aborted) throw new VivError('qemu_failed', 'QEMU ended at once');
}

const answers = ({ qmp }: Live): Promise<boolean> =>
  queryStatus(qmp).then(
    () => true,
    () => false,
  );

async function endQuietly(machine: Machine, live: Live): Promise<void> {
  machine.ending = true;
  letGo(machine);
  await endProcess(live.process, machine.paths);
}

/** A guest that startProcess has held runs; where it cannot its process is ended. */
async function letHeldRun(machine: Machine, machines: Machines, live: Live, accel: 'kvm' | 'tcg'): Promise<void> {
  machine.ending = true;
  try {
    live.wake();
    await go(machine, machines, live, accel, 'paused');
  } catch (error) {
    letGo(machine);
    await endProcess(live.process, machine.paths);
    await rm(machine.paths.run, { recursive: true, force: true });
    throw await explain(error, machine, live.process);
  } finally {
    machine.ending = false;
  }
}

async function go(machine: Machine, machines: Machines, live: Live, accel: 'kvm' | 'tcg', status: string): Promise<void> {
  const { qmp } = live;
  const slept = machine.record;
  const board = startBoard(slept, (await findQemu(slept.arch)).version);
  const settings = startSettings(slept);
  // Recorded before the guest runs: from its first instruction on, its disks are no longer those of the saved memory, and what
  // QEMU tells of it is news.
  await machine.update((record) => ({
    state: 'running',
    stateReason: null,
    wanted: 'running',
    wakeFrom: null,
    asleep: record.state === 'suspended',
    startedAt: Date.now(),
    bootId: machines.host.bootId,
    started: {
      ...settings,
      accel: (record.state === 'suspended' ? record.started?.accel : undefined) ?? record.settings.accel,
      accelInUse: accel,
      board,
      ...startOffers(record),
      cdroms: startDisks(record)
        .filter((disk) => disk.kind === 'cdrom')
        .map(({ file, digest }) => ({ file, digest })),
      slots: slotsOf(slept),
    },
  }));
  machine.ending = false;
  let ran = true;
  try {
    if (live.ended.aborted) {
      ran = status === 'running';
      throw new VivError('qemu_failed', 'QEMU ended at once');
    }
    if (status !== 'running') {
      for (const nic of slept.nics) if (!nic.up) await setCable(qmp, nic.id, false);
      await cont(qmp);
    }
  } catch (error) {
    // Refused or not even asked, so the guest has not run: it sleeps on.
    if ((error instanceof QmpError || !ran) && slept.state === 'suspended') {
      const { state, stateReason, wanted, wakeFrom, startedAt, bootId, started } = slept;
      await machine.update(() => ({ state, stateReason, wanted, wakeFrom, startedAt, bootId, started }));
    }
    throw error;
  }
  await rm(machine.paths.suspendState, { force: true });
  await dropSleep(slept, machines);
  if (slept.wakeFrom !== null) flattenMeanwhile(machine, machines);
}

/** Makes a process's live part: connections and listeners. */
export function attach(
  machine: Machine,
  machines: Machines,
  process: QemuProcess,
  qmp: QmpConnection,
  { held = false }: { held?: boolean } = {},
): Live {
  const live = new Live({
    name: () => machine.name,
    paths: machine.paths,
    process,
    qmp,
    introduce: (agent) => introduce(machine, machines.networks, agent),
    onAgent: () => machine.changed(),
    held,
  });
  machine.live = live;
  listen(machine, live);
  return live;
}

/** Lets go of a live part whose process is of no use. */
export function letGo(machine: Machine): void {
  machine.live?.end();
  machine.live = null;
}

/** And its TPM's, which ends with it. */
export async function endProcess(process: QemuProcess, { tpm }: { tpm: string }): Promise<void> {
  await process.kill();
  await endTpm(tpm);
}

/** QEMU's own words belong into the error. */
async function explain(error: unknown, machine: Machine, process: QemuProcess): Promise<unknown> {
  if (error instanceof VivError && error.code !== 'qemu_failed') return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const words = await lastWords(machine.paths.qemuLog, process.logOffset);
  // One that another lies on: only QEMU looks through all of them.
  const [, gone] = /Could not open '(\/[^']+)': No such file or directory/.exec(words) ?? [];
  if (gone !== undefined) return missing(machine, gone);
  const said = words === '' ? error.message : words;
  return new VivError('qemu_failed', `QEMU could not start ${machine.name}: ${said}`, { cause: error });
}
