// Making a point of a machine: memory, devices and every disk at one instant. A running guest stands still for the milliseconds
// that this takes and goes on as if nothing had been; its disks go on in new files on top, its memory in private pages.
//
//   stop ─► devices into a file ─► TPM: a copy ─► disks: new tops ─► memory: a new layer ─► go on
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { newId } from '../host/id.ts';
import { closeTops, openTops, switchTops, topsAreIn } from '../qemu/block.ts';
import { cont, pausedAgain, queryStatus, stop as stopCpus } from '../qemu/command.ts';
import { freezeMemory } from '../qemu/memory.ts';
import { prepareDevices, saveDevices } from '../qemu/state.ts';
import { endTpm } from '../qemu/tpm.ts';
import { makeOwnFile } from './files.ts';
import { stopFlattening } from './flatten.ts';
import type { Live } from './live.ts';
import type { Machines } from './machines.ts';
import type { PointMemory, PointRecord } from './point-record.ts';
import type { Machine } from './runner.ts';
import { asLayers, makeTops, onTops, planTops, removeTops, sealLayers, shareWithFamily, type Top } from './tops.ts';
import { copyTpm } from './tpm.ts';

const freezeDeadlineMs = 30_000;

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
  if (wish.memory && !existsSync(machine.paths.memory))
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

/** Enters the point and makes its files, while the machine goes on. Repeatable. */
export async function preparePoint(machine: Machine, machines: Machines, { point, tops }: Freezing): Promise<void> {
  await machines.points.put(point);
  const { folder } = machines.host.paths.point(point.id);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (machine.record.family === null && machine.record.uid !== null) await machine.update(({ uid }) => ({ family: uid }));
  await makeTops(machine.record, tops);
}

/** Takes back what preparePoint has made. A machine that writes to the tops already keeps them. Repeatable. */
export async function dropPoint(machine: Machine | undefined, machines: Machines, { point, tops }: Freezing): Promise<void> {
  if (machine?.record.at === point.id) await machine.update(() => ({ at: point.parent }));
  await rm(machines.host.paths.point(point.id).folder, { recursive: true, force: true });
  const used = machine?.record.disks.some(({ file }) => tops.some(({ to }) => to === file)) ?? false;
  // What the machine has gone on from stays a layer, under that name alone.
  if (used && machine) await sealLayers(machine.record, tops);
  else await removeTops(tops);
  await machines.points.drop(point.id);
}

/**
 * Makes the machine's present state into the point. Repeatable as long as the guest has not gone on in between.
 * @returns the point as it is now: complete, but for its memory, which is in the machine's process
 */
export async function freeze(machine: Machine, machines: Machines, freezing: Freezing, withMemory: boolean): Promise<PointRecord> {
  const { point, tops } = freezing;
  const present = machines.points.get(point.id);
  if (present.complete) return present;
  const { live } = machine;
  if (withMemory && !live) throw new VivError('wrong_state', `${machine.name} ended before its memory could be frozen`);
  const frozen = live ? await freezeLive(machine, machines, live, freezing, withMemory) : await freezeFiles(machine, machines, freezing);
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

async function freezeLive(machine: Machine, machines: Machines, live: Live, { point, tops }: Freezing, withMemory: boolean) {
  const { qmp } = live;
  await stopFlattening(machine);
  const devices = machines.host.paths.point(point.id).devices;
  const before = machine.record;
  const running = before.state === 'running';
  const taken = await topsAreIn(qmp, tops);
  if (taken && (await queryStatus(qmp)).running)
    throw new VivError('qemu_failed', `the point of ${machine.name} was interrupted by a restart of the daemon; make it again`);
  if (withMemory) {
    await makeOwnFile(devices, before);
    await prepareDevices(qmp);
  }
  if (!taken) await openTops(qmp, tops);
  // Recorded first: whatever happens from here on, the new tops are where the guest's next write is found, or they are empty.
  await machine.update((record) => onTops(record, tops));
  const begun = performance.now();
  let memory: PointMemory | null = null;
  try {
    if (running) await stopCpus(qmp);
    // It waits for what the TPM is about; the devices have its registers then, and the copy what it keeps.
    if (withMemory) await saveDevices(qmp, devices, { signal: AbortSignal.timeout(freezeDeadlineMs) });
    if (existsSync(machine.paths.tpm)) await copyTpm(machine.paths.tpm, machines.host.paths.point(point.id).tpm, null);
    if (!taken) await switchTops(qmp, tops);
    if (withMemory) {
      const { layers } = await freezeMemory(machine.paths.memory, { timeoutMs: freezeDeadlineMs });
      memory = { in: 'process', pid: live.process.pid, startTicks: live.process.startTicks, layers };
    }
  } catch (error) {
    if (!(await topsAreIn(qmp, tops).catch(() => true))) {
      await closeTops(qmp, tops).catch(() => {});
      await machine.update(() => ({ disks: before.disks, vars: before.vars }));
    }
    throw error;
  } finally {
    if (running) await cont(qmp);
    else if (withMemory && !live.starved) await pausedAgain(qmp);
  }
  const pausedMs = performance.now() - begun;
  if (withMemory) await shareWithFamily(devices, machine.record);
  return { memory, pausedMs };
}
