// Capturing a VM: memory, devices and every disk at one instant. A running guest is paused for the milliseconds that this takes;
// its disks continue in new overlays, its memory in private pages.
//
//   stop ─► devices into a file ─► copy of the TPM ─► disks: new overlays ─► memory: a new layer ─► continue
import { existsSync } from 'node:fs';
import { link, rename, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../../contract/errors.ts';
import { makeFolder } from '../../host/file/folder.ts';
import { newId } from '../../host/id.ts';
import { openOverlays, prepareSwitch } from '../../qemu/block.ts';
import { cont, pausedAgain, stop as stopCpus } from '../../qemu/command.ts';
import { controlMemory } from '../../qemu/memory.ts';
import { prepareDevices, saveDevices } from '../../qemu/state.ts';
import { endTpm } from '../../qemu/tpm.ts';
import type { VmConnection } from '../connection.ts';
import { copyTpm } from '../device/tpm.ts';
import { makeOwnFile, seal } from '../files.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { collectChecksums, copyChecksums } from './checksums.ts';
import { stopFlattening } from './flatten-chain.ts';
import { asLayers, isOnOverlays, makeOverlays, type Overlay, onOverlays, planOverlays, removeOverlays, sealLayers } from './overlays.ts';
import { rollBack } from './roll-back.ts';
import type { SnapshotMemory, SnapshotRecord } from './snapshot-record.ts';

const freezeDeadlineMs = 30_000;
/** An end that was not our child's is noticed within 2 s (qemu/process.ts). */
const endDeadlineMs = 5000;

/** The snapshot holds its memory while it is suspended. */
const suspendedAtSnapshot = ({ record }: Vm): boolean => record.state === 'suspended' && record.resumeFrom !== null;

/** Its guest has memory now: it runs, or is suspended. */
export const hasMemory = (vm: Vm): boolean => vm.live !== null || vm.record.state === 'suspended';

export interface Freezing {
  readonly snapshot: SnapshotRecord;
  readonly overlays: readonly Overlay[];
}

/** What will be captured. Nothing changes yet. @param memory false: the disks only @throws unsupported where the memory cannot be captured */
export function planSnapshot(
  vm: Vm,
  services: Uses<'paths' | 'clock'>,
  wish: Pick<SnapshotRecord, 'kind' | 'label' | 'template' | 'auto'> & { memory: boolean },
): Freezing {
  if (wish.memory && vm.record.state === 'suspended') {
    if (!suspendedAtSnapshot(vm))
      throw new VivError('wrong_state', `${vm.name} was suspended without memory layers. Start it, and suspend it again`);
  } else if (wish.memory && vm.record.started?.resources.hugepages)
    throw new VivError(
      'unsupported',
      `cannot capture the memory of ${vm.name}: it is in huge pages. Set hugepages=false and restart it first`,
    );
  else if (wish.memory && !existsSync(vm.paths.memory))
    throw new VivError(
      'unsupported',
      `cannot capture the memory of ${vm.name}: it was started by a version of Vivarium without memory layers. Restart it first`,
    );
  const overlays = planOverlays(vm.record, services);
  const gone = overlays.find(({ from }) => !existsSync(from));
  if (gone)
    throw new VivError('corrupt', `cannot capture ${vm.name}: its file ${gone.from} is missing. Put it back from a copy`, {
      details: { file: gone.from },
    });
  const { kind, label, template, auto } = wish;
  const snapshot: SnapshotRecord = {
    ...{ id: newId(), vm: vm.id, kind, label, template, auto, parent: vm.record.at, createdAt: services.clock.now() },
    ...{ complete: false, memory: null, memoryBytes: 0, frozenFileSystems: null, pausedMs: 0, thumbnail: null, checksums: null },
    vmRecord: { ...vm.record, ...asLayers(vm.record, overlays) },
  };
  return { snapshot, overlays };
}

/** Records the snapshot and creates its files while the VM runs. Repeatable, also after the capture: overlays in use are left alone. */
export async function prepareSnapshot(vm: Vm, services: Uses<'snapshots' | 'paths'>, { snapshot, overlays }: Freezing): Promise<void> {
  if (isOnOverlays(vm.record, overlays)) return;
  await services.snapshots.put(snapshot);
  const { folder } = services.paths.snapshot(snapshot.id);
  await makeFolder(folder, 0o700);
  await makeOverlays(vm.record, overlays);
}

/** Undoes prepareSnapshot. A VM that writes to the overlays already keeps them. Repeatable. */
export async function dropSnapshot(
  vm: Vm | undefined,
  services: Uses<'snapshots' | 'checks' | 'paths'>,
  freezing: Freezing,
): Promise<void> {
  const { snapshot, overlays } = freezing;
  if (vm && !services.snapshots.byId(snapshot.id)?.complete) await takeBackOrEnded(vm, services, freezing);
  if (vm) await rm(vm.paths.devices, { force: true });
  if (vm?.record.at === snapshot.id) await vm.update(() => ({ at: snapshot.parent }));
  await rm(services.paths.snapshot(snapshot.id).folder, { recursive: true, force: true });
  // The files that it wrote to before stay layers, under that name alone.
  if (vm && isOnOverlays(vm.record, overlays)) await sealLayers(vm.record, overlays);
  else await removeOverlays(overlays);
  await services.snapshots.drop(snapshot.id);
  if (snapshot.kind !== 'fork') await collectChecksums(services);
}

const isOfQemu = (error: unknown): boolean => error instanceof VivError && error.code === 'qemu_failed';

/** A QEMU that ends while it is asked needs no rollback: its guest's last writes are in the recorded files or below them. */
async function takeBackOrEnded(vm: Vm, services: Uses<'paths'>, freezing: Freezing): Promise<void> {
  const { live } = vm;
  try {
    await rollBack(vm, services, freezing);
  } catch (error) {
    if (!isOfQemu(error)) throw error;
    const ended = await Promise.race([live?.process.exited.then(() => true), delay(endDeadlineMs, false, { ref: false })]);
    if (!ended) throw error;
  }
}

/**
 * Captures the VM's present state as the snapshot. Repeatable as long as the guest has not run in between.
 * @param goOn false: a guest that ran stays paused afterwards, unless this fails
 * @returns the snapshot: complete, but for its memory, which is still in the VM's process
 */
export async function freeze(
  vm: Vm,
  services: Uses<'snapshots' | 'processes' | 'paths'>,
  freezing: Freezing,
  withMemory: boolean,
  { goOn = true }: { goOn?: boolean } = {},
): Promise<SnapshotRecord> {
  const { snapshot, overlays } = freezing;
  const present = services.snapshots.get(snapshot.id);
  if (present.complete) return present;
  const { live } = vm;
  if (withMemory && !live && !suspendedAtSnapshot(vm))
    throw new VivError('wrong_state', `${vm.name} ended before its memory could be captured`);
  // It could not be adopted, and may still write to what would become a layer.
  if (!live && (await services.processes.of(vm)))
    throw new VivError(
      'qemu_failed',
      `cannot capture the disks of ${vm.name}: its QEMU does not answer. See: viv logs ${vm.name} --source qemu`,
    );
  const frozen = live
    ? await live.whileSwitching(() => freezeLive(vm, services, live, freezing, { withMemory, goOn }))
    : { ...(await freezeFiles(vm, services, freezing)), ...(withMemory ? await takeSuspendedState(vm, services, snapshot) : {}) };
  await sealLayers(vm.record, overlays);
  const { started, settings } = vm.record;
  const record: SnapshotRecord = { ...present, ...frozen, complete: true, vmRecord: { ...present.vmRecord, started, settings } };
  await services.snapshots.put(record);
  if (snapshot.kind === 'snapshot') await vm.update(() => ({ at: snapshot.id }));
  return record;
}

async function freezeFiles(vm: Vm, services: Uses<'paths'>, { snapshot, overlays }: Freezing): Promise<{ memory: null; pausedMs: number }> {
  await endTpm(vm.paths.tpm); // its QEMU may have ended in this moment
  await copyTpm(vm.paths.tpm, services.paths.snapshot(snapshot.id).tpm, null);
  await vm.update((record) => onOverlays(record, overlays));
  return { memory: null, pausedMs: 0 };
}

/** The memory of a suspended VM is in files that do not change: they get a second name. */
async function takeSuspendedState({ record }: Vm, { snapshots, paths }: Uses<'snapshots' | 'paths'>, { id }: SnapshotRecord) {
  const suspended = snapshots.get(record.resumeFrom ?? '');
  const [from, to] = [paths.snapshot(suspended.id), paths.snapshot(id)];
  for (const file of ['devices', 'memory'] as const) {
    await rm(to[file], { force: true });
    await link(from[file], to[file]);
  }
  await copyChecksums(paths, from.memory, to.memory);
  return { memory: { in: 'file' } as const, memoryBytes: suspended.memoryBytes };
}

async function freezeLive(
  vm: Vm,
  services: Uses<'paths'>,
  live: VmConnection,
  freezing: Freezing,
  { withMemory, goOn }: { withMemory: boolean; goOn: boolean },
) {
  const { snapshot, overlays } = freezing;
  const { qmp } = live;
  await stopFlattening(vm);
  // QEMU reaches its VM's own folder alone.
  const { devices } = vm.paths;
  // A previous daemon may have died in the middle of what follows.
  if (await rollBack(vm, services, freezing))
    throw new VivError('qemu_failed', `the snapshot of ${vm.name} was interrupted by a restart of the daemon. Take it again`);
  const running = vm.record.state === 'running';
  using control = withMemory ? controlMemory(vm.paths.memory, { timeoutMs: freezeDeadlineMs }) : null;
  if (withMemory) {
    await makeOwnFile(devices, vm.record);
    await prepareDevices(qmp);
  }
  await control?.prepare().catch(() => {}); // a process of 0.1.0 or before does not know this: then everything is copied in the pause
  await openOverlays(qmp, overlays);
  const switchOverlays = await prepareSwitch(qmp, overlays);
  // Recorded first: from here on the guest's next write is in the new overlays, or they are empty.
  await vm.update((record) => onOverlays(record, overlays));
  const begun = performance.now();
  let memory: SnapshotMemory | null = null;
  vm.runtime.freeze();
  try {
    if (running) await stopCpus(qmp);
    // It waits for the TPM's command to end: then the devices hold its registers and the copy its state.
    if (withMemory) await saveDevices(qmp, devices, { signal: AbortSignal.timeout(freezeDeadlineMs) });
    if (existsSync(vm.paths.tpm)) await copyTpm(vm.paths.tpm, services.paths.snapshot(snapshot.id).tpm, null);
    await switchOverlays();
    if (control) {
      const { layers } = await control.freeze();
      memory = { in: 'process', pid: live.process.pid, startTicks: live.process.startTicks, layers };
    }
  } catch (error) {
    vm.runtime.unfreeze();
    await rm(devices, { force: true });
    // Done once more when the snapshot is dropped. A full disk, which keeps it from being recorded, is the better reason of both.
    await rollBack(vm, services, freezing).catch((other: unknown) => {
      if (!isOfQemu(other)) throw other;
    });
    throw error;
  }
  if (goOn) vm.runtime.unfreeze();
  else vm.runtime.stayFrozen();
  if (goOn && running) await cont(qmp);
  else if (goOn && withMemory && !vm.runtime.isDiskFull) await pausedAgain(qmp);
  const pausedMs = performance.now() - begun;
  if (withMemory) await takeDevices(vm, services.paths.snapshot(snapshot.id).devices);
  return { memory, pausedMs };
}

/** What QEMU has written becomes the snapshot's. */
async function takeDevices({ paths, record }: Vm, to: string): Promise<void> {
  await seal(paths.devices, record);
  await rename(paths.devices, to);
}
