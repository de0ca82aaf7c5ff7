// Starting a VM's QEMU, cold or from a saved state. Every step finds out what is already there, because the daemon may
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
import { setNicLink } from '../../qemu/nic.ts';
import { lastWords, type QemuProcess, startQemu } from '../../qemu/process.ts';
import { connectQmp, type QmpConnection, QmpError } from '../../qemu/qmp.ts';
import { loadDevices, loadState } from '../../qemu/state.ts';
import { endTpm, findSwtpm, type Tpm } from '../../qemu/tpm.ts';
import { flattenMeanwhile } from '../capture/flatten-chain.ts';
import { filesOfSnapshot } from '../capture/snapshot-files.ts';
import type { SnapshotRecord } from '../capture/snapshot-record.ts';
import { slotsOf } from '../device/nics.ts';
import { rotate } from '../device/serial-log.ts';
import { withTaps } from '../device/tap-descriptors.ts';
import { openTpm, watchTpm } from '../device/tpm.ts';
import { checkFiles, makeFirmwareVars, makeRunFiles, missing } from '../files.ts';
import { applyIdentity } from '../fork/apply-identity.ts';
import { type OpenMemory, openMemory } from '../memory.ts';
import { VmRuntime } from '../runtime.ts';
import type { Uses } from '../services.ts';
import { qemuConfig, startDisks, startMachineType, startOffers, startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { discardSuspendedState } from './discard-suspended-state.ts';
import { listen } from './qemu-events.ts';

const qmpDeadlineMs = 20_000;
/** What QEMU needs beside the guest's memory: measured 60-90 MiB for q35 with VGA. */
export const overheadBytes = 96 * MiB;

const inUnits = (bytes: number): string => (bytes >= 10 * GiB ? `${Math.round(bytes / GiB)} GiB` : `${Math.ceil(bytes / MiB)} MiB`);

const toStart = 'stop another VM or give it less (--memory, or viv set NAME memory=... for one that is there)';

/** @param guestBytes each VM's, as far as it is not there already. @throws no_memory */
export async function checkMemory(name: string, guestBytes: number, count: number, { bus }: Uses<'bus'>, instead = toStart): Promise<void> {
  const needed = (guestBytes + overheadBytes) * count;
  if (needed <= (await availableMemory())) return;
  await bus.emit('host.memory-needed', { bytes: needed });
  const free = await availableMemory();
  if (needed <= free) return;
  throw new VivError('no_memory', `${name} needs ${inUnits(needed)} of memory and the host has ${inUnits(free)} available; ${instead}`, {
    details: { neededBytes: needed, availableBytes: free },
  });
}

/** Looks at everything that would make a start fail, before anything changes. */
export async function checkStart(
  vm: Vm,
  services: Uses<'snapshots' | 'checks' | 'host' | 'paths' | 'bus'>,
): Promise<{ accel: 'kvm' | 'tcg' }> {
  const { arch } = vm.record;
  const settings = startSettings(vm.record);
  const accel = await services.host.accelerator(settings.accel);
  await findQemu(arch);
  if (settings.firmware === 'uefi') await findFirmware(arch);
  if (settings.tpm) await findSwtpm();
  await checkFiles(vm.record);
  checkSuspendedState(vm, services);
  // One that wakes from a snapshot has its memory in common with others until it writes to it.
  await checkMemory(vm.name, vm.record.resumeFrom === null ? settings.memoryBytes : 0, 1, services);
  if (settings.cpus > Math.max(availableParallelism() * 16, 64))
    throw new VivError('invalid', `${vm.name} asks for ${settings.cpus} CPUs; this host has ${availableParallelism()}`);
  return { accel };
}

/** What it wakes from is not known to be damaged. @throws corrupt */
function checkSuspendedState({ name, record }: Vm, { snapshots, checks, paths }: Uses<'snapshots' | 'checks' | 'paths'>): void {
  const snapshot = record.state === 'suspended' ? snapshots.byId(record.resumeFrom ?? '') : undefined;
  const known = snapshot && checks.damaged(filesOfSnapshot(snapshot, paths));
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
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'bootId'>,
  accel: 'kvm' | 'tcg',
  signal: AbortSignal,
  { hold = false }: { hold?: boolean } = {},
): Promise<void> {
  if (vm.live) {
    if (vm.record.state !== 'suspended') return letRun(vm);
    if (hold) return;
    if (await answers(vm.live)) return letHeldRun(vm, services, vm.live, accel);
    // It ended while it stood ready, and its guest has not run: another process wakes it.
    await endQuietly(vm, vm.live);
  }
  const wake = vm.record.state === 'suspended';
  let process = await services.processes.of(vm);
  // Started by a daemon that died before it could say so. It is taken up, unless it may have loaded half of a saved state.
  if (process && wake && (await isLoading(vm, process, signal))) {
    await endProcess(process, vm.paths);
    process = null;
  }
  vm.ending = true; // until its guest may run, its end is this start's failure and no news
  try {
    process ??= await spawn(vm, services, accel, wake, signal);
    await adoptProcess(vm, services, process, accel, signal, hold);
  } catch (error) {
    detach(vm);
    if (!process) throw error;
    await endProcess(process, vm.paths);
    await rm(vm.paths.run, { recursive: true, force: true });
    throw await explain(error, vm, process);
  } finally {
    vm.ending = false;
  }
}

/** A daemon that died had recorded the VM as running and not let its guest run. Repeatable. */
export async function letRun(vm: Vm): Promise<void> {
  const { qmp } = vm.alive();
  const { status } = await queryStatus(qmp);
  if (status !== 'prelaunch' && status !== 'paused') return;
  await vm.setState('running', null);
  await cont(qmp);
  await rm(vm.paths.suspendState, { force: true });
}

async function spawn(
  vm: Vm,
  services: Uses<'snapshots' | 'networks' | 'processes' | 'paths'>,
  accel: 'kvm' | 'tcg',
  incoming: boolean,
  signal: AbortSignal,
): Promise<QemuProcess> {
  const { record, paths } = vm;
  await makeRunFiles(record, services);
  await makeFirmwareVars(record, services);
  await rotate(paths.serialLog);
  await rotate(paths.qemuLog, MiB);
  const firmware = startSettings(record).firmware === 'uefi' ? await findFirmware(record.arch) : null;
  const binary = await findQemu(record.arch);
  const network = await services.networks.plug(vm);
  let memory: OpenMemory | null = null;
  let tpm: Tpm | null = null;
  try {
    memory = await openMemory(startSettings(record).memoryBytes, paths.memory, resumesFrom(vm, services), services.paths);
    tpm = await openTpm(record, paths);
    // What is inherited: its memory, its TPM, its taps.
    const tpmFd = tpm && firstFreeFd(memory.layers);
    const through = network === null ? null : withTaps(record, network, tpmFd === null ? firstFreeFd(memory.layers) : tpmFd + 1);
    const config = qemuConfig(record, paths, {
      marker: services.processes.marker(vm.id),
      machineType: startMachineType(record, binary.version),
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
    if (network !== null) services.networks.has(vm.id, started);
    if (tpm) void watchTpm(vm, started, tpm.exited);
    return started;
  } catch (error) {
    if (network !== null) services.networks.unplug(vm.id, null);
    if (tpm) await endTpm(paths.tpm);
    throw error;
  } finally {
    memory?.close();
    tpm?.close();
  }
}

/** The snapshot whose memory it wakes from; null: its own saved state, or none. */
function resumesFrom({ record }: Vm, { snapshots }: Uses<'snapshots'>): SnapshotRecord | null {
  return record.state === 'suspended' && record.resumeFrom !== null ? snapshots.get(record.resumeFrom) : null;
}

async function isLoading(vm: Vm, process: QemuProcess, signal: AbortSignal): Promise<boolean> {
  const qmp = await connectQmp(vm.paths.qmp, { timeoutMs: qmpDeadlineMs, signal, exited: process.exited });
  try {
    return (await queryStatus(qmp)).status === 'inmigrate';
  } finally {
    qmp.close();
  }
}

async function adoptProcess(
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'networks' | 'paths' | 'bootId'>,
  process: QemuProcess,
  accel: 'kvm' | 'tcg',
  signal: AbortSignal,
  hold: boolean,
): Promise<void> {
  const qmp = await connectQmp(vm.paths.qmp, { timeoutMs: qmpDeadlineMs, signal, exited: process.exited });
  const live = attach(vm, services, process, qmp, { held: hold });
  const { status } = await queryStatus(qmp);
  if (status === 'inmigrate') {
    const snapshot = resumesFrom(vm, services);
    if (snapshot === null) await loadState(qmp, vm.paths.suspendState, { signal });
    else await loadDevices(qmp, services.paths.snapshot(snapshot.id).devices, { signal });
  }
  if (!hold) return go(vm, services, live, accel, status);
  if (live.ended.aborted) throw new VivError('qemu_failed', 'QEMU ended at once');
}

const answers = ({ qmp }: VmRuntime): Promise<boolean> =>
  queryStatus(qmp).then(
    () => true,
    () => false,
  );

async function endQuietly(vm: Vm, live: VmRuntime): Promise<void> {
  vm.ending = true;
  detach(vm);
  await endProcess(live.process, vm.paths);
}

/** A guest that startProcess has held runs; where it cannot its process is ended. */
async function letHeldRun(
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'bootId'>,
  live: VmRuntime,
  accel: 'kvm' | 'tcg',
): Promise<void> {
  vm.ending = true;
  try {
    live.wake();
    await go(vm, services, live, accel, 'paused');
  } catch (error) {
    detach(vm);
    await endProcess(live.process, vm.paths);
    await rm(vm.paths.run, { recursive: true, force: true });
    throw await explain(error, vm, live.process);
  } finally {
    vm.ending = false;
  }
}

async function go(
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'bootId'>,
  live: VmRuntime,
  accel: 'kvm' | 'tcg',
  status: string,
): Promise<void> {
  const { qmp } = live;
  const slept = vm.record;
  const machineType = startMachineType(slept, (await findQemu(slept.arch)).version);
  const settings = startSettings(slept);
  // Recorded before the guest runs: from its first instruction on, its disks are no longer those of the saved memory, and what
  // QEMU tells of it is news.
  await vm.update((record) => ({
    state: 'running',
    stateReason: null,
    desired: 'running',
    resumeFrom: null,
    resumedFromSuspend: record.state === 'suspended',
    startedAt: Date.now(),
    bootId: services.bootId,
    started: {
      ...settings,
      accel: (record.state === 'suspended' ? record.started?.accel : undefined) ?? record.settings.accel,
      accelInUse: accel,
      machineType,
      ...startOffers(record),
      cdroms: startDisks(record)
        .filter((disk) => disk.kind === 'cdrom')
        .map(({ file, digest }) => ({ file, digest })),
      slots: slotsOf(slept),
    },
  }));
  vm.ending = false;
  let ran = true;
  try {
    if (live.ended.aborted) {
      ran = status === 'running';
      throw new VivError('qemu_failed', 'QEMU ended at once');
    }
    if (status !== 'running') {
      for (const nic of slept.nics) if (!nic.up) await setNicLink(qmp, nic.id, false);
      await cont(qmp);
    }
  } catch (error) {
    // Refused or not even asked, so the guest has not run: it sleeps on.
    if ((error instanceof QmpError || !ran) && slept.state === 'suspended') {
      const { state, stateReason, desired, resumeFrom, startedAt, bootId, started } = slept;
      await vm.update(() => ({ state, stateReason, desired, resumeFrom, startedAt, bootId, started }));
    }
    throw error;
  }
  await rm(vm.paths.suspendState, { force: true });
  await discardSuspendedState(slept, services);
  if (slept.resumeFrom !== null) flattenMeanwhile(vm, services);
}

/** Makes a process's live part: connections and listeners. */
export function attach(
  vm: Vm,
  services: Uses<'networks'>,
  process: QemuProcess,
  qmp: QmpConnection,
  { held = false }: { held?: boolean } = {},
): VmRuntime {
  const live = new VmRuntime({
    name: () => vm.name,
    paths: vm.paths,
    process,
    qmp,
    applyIdentity: (agent) => applyIdentity(vm, services.networks, agent),
    onAgent: () => vm.changed(),
    held,
  });
  vm.live = live;
  listen(vm, live);
  return live;
}

/** Lets go of a live part whose process is of no use. */
export function detach(vm: Vm): void {
  vm.live?.end();
  vm.live = null;
}

/** And its TPM's, which ends with it. */
export async function endProcess(process: QemuProcess, { tpm }: { tpm: string }): Promise<void> {
  await process.kill();
  await endTpm(tpm);
}

/** QEMU's own words belong into the error. */
async function explain(error: unknown, vm: Vm, process: QemuProcess): Promise<unknown> {
  if (error instanceof VivError && error.code !== 'qemu_failed') return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const words = await lastWords(vm.paths.qemuLog, process.logOffset);
  // One that another lies on: only QEMU looks through all of them.
  const [, gone] = /Could not open '(\/[^']+)': No such file or directory/.exec(words) ?? [];
  if (gone !== undefined) return missing(vm, gone);
  const said = words === '' ? error.message : words;
  return new VivError('qemu_failed', `QEMU could not start ${vm.name}: ${said}`, { cause: error });
}
