// Setting a machine back to one of its points. What it was meanwhile is lost unless it has a point too; no point ever is.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createOverlay } from '../storage/disk.ts';
import type { PointRecord } from '../vm/capture/snapshot-record.ts';
import { guardOf } from '../vm/device/nics.ts';
import { copyTpm } from '../vm/device/tpm.ts';
import { own } from '../vm/files.ts';
import { makeVarsOver, topsOver } from '../vm/fork/fork-record.ts';
import type { DiskRecord, MachineRecord } from '../vm/record.ts';
import type { Machines } from '../vm/registry.ts';
import type { Machine } from '../vm/vm.ts';
import { checkPoint, checkWaking } from './check-files.ts';

export type Tops = Pick<MachineRecord, 'disks' | 'vars'>;

export const planRestore = (machine: Machine, point: PointRecord): Tops => topsOver(point.machine, machine.paths.state);

const isOwn = ({ kind }: DiskRecord): boolean => kind === 'root' || kind === 'data';

/** Before anything is given up for it. @throws corrupt, no_accelerator, unsupported */
export async function checkRestore(machine: Machine, machines: Machines, point: PointRecord): Promise<void> {
  await checkPoint(point, machine.name, machines);
  if (point.memory !== null) await checkWaking(`${machine.name} at its point ${point.label ?? point.id}`, point.machine, machines);
}

/** Makes the empty files over the point's layers while the machine goes on. Repeatable. */
export async function makeRestoreTops(machine: Machine, point: PointRecord, tops: Tops): Promise<void> {
  const record = { ...machine.record, ...tops };
  for (const disk of tops.disks.filter(isOwn)) {
    await createOverlay(disk.file, { backing: disk.backing as string, sizeBytes: disk.sizeBytes });
    await own(disk.file, record, 0o600);
  }
  await makeVarsOver(record, point);
}

const filesOf = ({ disks, vars }: Tops): string[] => [...disks.filter(isOwn).map(({ file }) => file), ...(vars === null ? [] : [vars])];

/** Repeatable. A machine that has been set back to them keeps them. */
export async function removeRestoreTops(machine: Machine, tops: Tops): Promise<void> {
  const used = new Set(filesOf(machine.record));
  for (const file of filesOf(tops)) if (!used.has(file)) await rm(file, { force: true });
}

/** The machine, whose process has ended, is what it was at the point; with memory it sleeps, and its next start wakes it there. */
export async function setBack(machine: Machine, machines: Machines, point: PointRecord, tops: Tops): Promise<void> {
  const { machine: then } = point;
  const withMemory = point.memory !== null;
  await machine.update(({ settings: { restart, autostart, removeOnStop, snapshots }, nics: now }) => ({
    ...tops,
    settings: { ...then.settings, restart, autostart, removeOnStop, snapshots },
    ...{ state: withMemory ? 'suspended' : 'stopped', stateReason: null, wanted: 'stopped', at: point.id },
    started: withMemory ? then.started : null,
    wakeFrom: withMemory ? point.id : null,
    // What a card may do is the host's to say, and no part of what the machine was.
    nics: then.nics.map((nic) => ({ ...nic, ...guardOf(now.find(({ id }) => id === nic.id) ?? nic) })),
    seed: then.seed,
  }));
  await copyTpm(machines.host.paths.point(point.id).tpm, machine.paths.tpm, machine.record);
  await rm(machine.paths.suspendState, { force: true });
  await removeUnusedTops(machine);
}

/** Also those that a daemon that died in between has left. The file of the UEFI variables it began with is not among its record's. */
async function removeUnusedTops({ record, paths }: Machine): Promise<void> {
  const used = new Set([...filesOf(record), ...(record.vars === null ? [paths.firmwareVars] : [])]);
  for (const name of await readdir(paths.state)) {
    const file = join(paths.state, name);
    if (name.endsWith('.qcow2') && !used.has(file)) await rm(file, { force: true });
  }
}
