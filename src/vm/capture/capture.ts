// Making a point of a machine: memory, devices and every disk at one instant. A running guest stands still for the milliseconds
// that this takes and goes on as if nothing had been; its disks go on in new files on top, its memory in private pages.
//
//   stop ─► devices into a file ─► TPM: a copy ─► disks: new tops ─► memory: a new layer ─► go on
import { existsSync } from 'node:fs';
import { link, mkdir, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../../contract/errors.ts';
import { newId } from '../../host/id.ts';
import { openTops, prepareSwitch } from '../../qemu/block.ts';
import { cont, pausedAgain, stop as stopCpus } from '../../qemu/command.ts';
import { controlMemory } from '../../qemu/memory.ts';
import { prepareDevices, saveDevices } from '../../qemu/state.ts';
import { endTpm } from '../../qemu/tpm.ts';
import { copyTpm } from '../device/tpm.ts';
import { makeOwnFile } from '../files.ts';
import type { Machines } from '../registry.ts';
import type { Live } from '../runtime.ts';
import type { Machine } from '../vm.ts';
import { collectSums, copySums } from './checksums.ts';
import { stopFlattening } from './flatten-chain.ts';
import { asLayers, isOnTops, makeTops, onTops, planTops, removeTops, sealLayers, shareWithFamily, type Top } from './overlays.ts';
import { takeBack } from './roll-back.ts';
import type { PointMemory, PointRecord } from './snapshot-record.ts';

const freezeDeadlineMs = 30_000;
/** An end that was not our child's is noticed within 2 s (qemu/process.ts). */
const endDeadlineMs = 5000;

/** What it can be had again from, memory and all, while it sleeps. */
const sleepsAtPoint = ({ record }: Machine): boolean => record.state === 'suspended' && record.wakeFrom !== null;

/** Its guest has a memory now: it runs, or sleeps. */
export const hasMemory = (machine: Machine): boolean => machine.live !== null || machine.record.state === 'suspended';

export interface Freezing {
  readonly point: PointRecord;
  readonly tops: readonly Top[];
}

/** What is going to be made. Nothing changes yet. @param memory false: the disks alone. @throws unsupported where the memory cannot be frozen */
export function planPoint(
  machine: Machine,
  machines: Machines,
  wish: Pick<PointRecord, 'kind' | 'label' | 'template' | 'auto'> & { memory: boolean },
): Freezing {
  if (wish.memory && machine.record.state === 'suspended') {
    if (!sleepsAtPoint(machine))
      throw new VivError('wrong_state', `${machine.name} was suspended without layers of memory; start it, and suspend it again`);
  } else if (wish.memory && !existsSync(machine.paths.memory))
    throw new VivError(
      'unsupported',
      `the memory of ${machine.name} cannot be frozen, because it was started by a version of Vivarium that could not do that; restart it first`,
    );
  const tops = planTops(machine.record, machines.host);
  const { kind, label, template, auto } = wish;
  const point: PointRecord = {
    ...{ id: newId(), vm: machine.id, kind, label, template, auto, parent: machine.record.at, createdAt: machines.host.clock.now() },
    ...{ complete: false, memory: null, memoryBytes: 0, pausedMs: 0, thumbnail: null, sums: null },
    machine: { ...machine.record, ...asLayers(machine.record, tops) },
  };
  return { point, tops };
}

/** Enters the point and makes its files, while the machine goes on. Repeatable, also when it has been frozen since: what it writes to is left. */
export async function preparePoint(machine: Machine, machines: Machines, { point, tops }: Freezing): Promise<void> {
  if (isOnTops(machine.record, tops)) return;
  await machines.points.put(point);
  const { folder } = machines.host.paths.point(point.id);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (machine.record.family === null && machine.record.uid !== null) await machine.update(({ uid }) => ({ family: uid }));
  await makeTops(machine.record, tops);
}

/** Takes back what preparePoint has made. A machine that writes to the tops already keeps them. Repeatable. */
export async function dropPoint(machine: Machine | undefined, machines: Machines, freezing: Freezing): Promise<void> {
  const { point, tops } = freezing;
  if (machine && !machines.points.byId(point.id)?.complete) await takeBackOrEnded(machine, machines, freezing);
  if (machine?.record.at === point.id) await machine.update(() => ({ at: point.parent }));
  await rm(machines.host.paths.point(point.id).folder, { recursive: true, force: true });
  // What the machine has gone on from stays a layer, under that name alone.
  if (machine && isOnTops(machine.record, tops)) await sealLayers(machine.record, tops);
  else await removeTops(tops);
  await machines.points.drop(point.id);
  if (point.kind !== 'fork') await collectSums(machines);
}

const isOfQemu = (error: unknown): boolean => error instanceof VivError && error.code === 'qemu_failed';

/** A QEMU that ends while it is asked has no say in it any more: its guest's last writes are in what is recorded or below. */
async function takeBackOrEnded(machine: Machine, machines: Machines, freezing: Freezing): Promise<void> {
  const { live } = machine;
  try {
    await takeBack(machine, machines, freezing);
  } catch (error) {
    if (!isOfQemu(error)) throw error;
    const ended = await Promise.race([live?.process.exited.then(() => true), delay(endDeadlineMs, false, { ref: false })]);
    if (!ended) throw error;
  }
}

/**
 * Makes the machine's present state into the point. Repeatable as long as the guest has not gone on in between.
 * @param goOn false: a guest that ran stands still afterwards, unless this fails
 * @returns the point as it is now: complete, but for its memory, which is in the machine's process
 */
export async function freeze(
  machine: Machine,
  machines: Machines,
  freezing: Freezing,
  withMemory: boolean,
  { goOn = true }: { goOn?: boolean } = {},
): Promise<PointRecord> {
  const { point, tops } = freezing;
  const present = machines.points.get(point.id);
  if (present.complete) return present;
  const { live } = machine;
  if (withMemory && !live && !sleepsAtPoint(machine))
    throw new VivError('wrong_state', `${machine.name} ended before its memory could be frozen`);
  // Taken up again in vain: it may still write to what would be a layer.
  if (!live && (await machines.processes.of(machine)))
    throw new VivError(
      'qemu_failed',
      `QEMU of ${machine.name} does not answer, so its disks cannot be frozen; see: viv logs ${machine.name} --source qemu`,
    );
  const frozen = live
    ? await live.whileSwitching(() => freezeLive(machine, machines, live, freezing, { withMemory, goOn }))
    : { ...(await freezeFiles(machine, machines, freezing)), ...(withMemory ? await takeSleep(machine, machines, point) : {}) };
  await sealLayers(machine.record, tops);
  const { started, settings } = machine.record;
  const record: PointRecord = { ...present, ...frozen, complete: true, machine: { ...present.machine, started, settings } };
  await machines.points.put(record);
  if (point.kind === 'snapshot') await machine.update(() => ({ at: point.id }));
  return record;
}

async function freezeFiles(machine: Machine, machines: Machines, { point, tops }: Freezing): Promise<{ memory: null; pausedMs: number }> {
  await endTpm(machine.paths.tpm); // its QEMU may have ended in this moment
  await copyTpm(machine.paths.tpm, machines.host.paths.point(point.id).tpm, null);
  await machine.update((record) => onTops(record, tops));
  return { memory: null, pausedMs: 0 };
}

/** The memory of one that sleeps is in files that do not change: they get a second name. */
async function takeSleep({ record }: Machine, { points, host }: Machines, { id }: PointRecord) {
  const slept = points.get(record.wakeFrom ?? '');
  const [from, to] = [host.paths.point(slept.id), host.paths.point(id)];
  for (const file of ['devices', 'memory'] as const) {
    await rm(to[file], { force: true });
    await link(from[file], to[file]);
  }
  await copySums(host.paths, from.memory, to.memory);
  return { memory: { in: 'file' } as const, memoryBytes: slept.memoryBytes };
}

async function freezeLive(
  machine: Machine,
  machines: Machines,
  live: Live,
  freezing: Freezing,
  { withMemory, goOn }: { withMemory: boolean; goOn: boolean },
) {
  const { point, tops } = freezing;
  const { qmp } = live;
  await stopFlattening(machine);
  const devices = machines.host.paths.point(point.id).devices;
  // The daemon before this one may have died in the middle of what follows.
  if (await takeBack(machine, machines, freezing))
    throw new VivError('qemu_failed', `the point of ${machine.name} was interrupted by a restart of the daemon; make it again`);
  const running = machine.record.state === 'running';
  using control = withMemory ? controlMemory(machine.paths.memory, { timeoutMs: freezeDeadlineMs }) : null;
  if (withMemory) {
    await makeOwnFile(devices, machine.record);
    await prepareDevices(qmp);
  }
  await control?.prepare().catch(() => {}); // a process that was started before it was known: then all is copied in the pause
  await openTops(qmp, tops);
  const switchTops = await prepareSwitch(qmp, tops);
  // Recorded first: whatever happens from here on, the new tops are where the guest's next write is found, or they are empty.
  await machine.update((record) => onTops(record, tops));
  const begun = performance.now();
  let memory: PointMemory | null = null;
  live.standing = true;
  try {
    if (running) await stopCpus(qmp);
    // It waits for what the TPM is about; the devices have its registers then, and the copy what it keeps.
    if (withMemory) await saveDevices(qmp, devices, { signal: AbortSignal.timeout(freezeDeadlineMs) });
    if (existsSync(machine.paths.tpm)) await copyTpm(machine.paths.tpm, machines.host.paths.point(point.id).tpm, null);
    await switchTops();
    if (control) {
      const { layers } = await control.freeze();
      memory = { in: 'process', pid: live.process.pid, startTicks: live.process.startTicks, layers };
    }
  } catch (error) {
    live.standing = false;
    // It is done once more when the point is dropped. What keeps it from being recorded, a full disk, is the better reason of both.
    await takeBack(machine, machines, freezing).catch((other: unknown) => {
      if (!isOfQemu(other)) throw other;
    });
    throw error;
  }
  live.standing = !goOn;
  if (!goOn) live.starved = false;
  else if (running) await cont(qmp);
  else if (withMemory && !live.starved) await pausedAgain(qmp);
  const pausedMs = performance.now() - begun;
  if (withMemory) await shareWithFamily(devices, machine.record);
  return { memory, pausedMs };
}
