// A machine made from a point of another: a copy in everything but who it is.
import { randomUUID } from 'node:crypto';
import { basename, join } from 'node:path';
import { newId } from '../../host/id.ts';
import { createOverlay } from '../../storage/disk.ts';
import { varsId } from '../capture/overlays.ts';
import type { PointRecord } from '../capture/snapshot-record.ts';
import { isVirtual, macOf } from '../device/nics.ts';
import { copyTpm } from '../device/tpm.ts';
import { makeFiles, own } from '../files.ts';
import type { MachineRecord } from '../record.ts';
import type { MachineHost } from '../registry.ts';

export interface Child {
  readonly id: string;
  readonly name: string;
  readonly uid: number | null;
}

/** The record of a child. With memory it is one that sleeps, and wakes from the point. Pure. */
export function childRecord(point: PointRecord, child: Child, parentName: string, host: MachineHost, createdAt: number): MachineRecord {
  const { machine } = point;
  const withMemory = point.memory !== null;
  return {
    ...newcomer(machine, child, parentName, createdAt),
    ...topsOver(machine, host.paths.vm(child.id).state),
    family: machine.family ?? machine.uid,
    state: withMemory ? 'suspended' : 'stopped',
    started: withMemory ? machine.started : null,
    wakeFrom: withMemory ? point.id : null,
  };
}

/** What every copy of a machine has in common: it is stopped and somebody else. Its files are the caller's to name. Pure. */
export function newcomer(machine: MachineRecord, { id, name, uid }: Child, parentName: string, createdAt: number): MachineRecord {
  const nics = machine.nics.map((nic) => ({ ...nic, mac: macOf(id, Number(nic.id.slice(3))), ipv4: null, ipv6: null }));
  return {
    ...machine,
    ...{ id, name, uid, uuid: randomUUID(), createdAt, complete: false, family: null },
    ...{ state: 'stopped', stateReason: null, wanted: 'stopped', started: null, startedAt: null, bootId: null, restarts: 0 },
    // Automatic points are the other's: a hundred forks of it would make a hundred of each.
    settings: { ...machine.settings, hostname: null, snapshots: null },
    ...{ at: null, wakeFrom: null, asleep: false },
    newcomer: {
      macs: nics.map((nic, index) => ({ old: machine.nics[index]?.mac ?? nic.mac, new: nic.mac, keepAddresses: !isVirtual(nic) })),
    },
    forkedFrom: parentName,
    nics,
  };
}

/** New files over a point's layers, in a machine's folder. Pure but for the names. */
export function topsOver(machine: MachineRecord, folder: string): Pick<MachineRecord, 'disks' | 'vars'> {
  const fresh = (id: string) => join(folder, `${id}-${newId()}.qcow2`);
  return {
    disks: machine.disks.map((disk) =>
      disk.kind === 'cdrom'
        ? disk
        : disk.kind === 'seed'
          ? { ...disk, file: join(folder, basename(disk.file)) }
          : { ...disk, backing: disk.file, file: fresh(disk.id) },
    ),
    vars: machine.vars === null ? null : fresh(varsId),
  };
}

/**
 * Everything of a child's own that its start needs. Repeatable: what is there already is made anew.
 * @param newTpm it has none of what the other's TPM keeps; its first start makes a new one
 */
export async function makeChildFiles(
  record: MachineRecord,
  point: PointRecord,
  host: MachineHost,
  signal: AbortSignal,
  { newTpm = false }: { newTpm?: boolean } = {},
): Promise<void> {
  await makeFiles(record, host, signal);
  await makeVarsOver(record, point);
  if (!newTpm) await copyTpm(host.paths.point(point.id).tpm, host.paths.vm(record.id).tpm, record);
}

/** UEFI variables on top of the point's. Repeatable. */
export async function makeVarsOver(record: MachineRecord, point: PointRecord): Promise<void> {
  if (record.vars === null || point.machine.vars === null) return;
  await createOverlay(record.vars, { backing: point.machine.vars });
  await own(record.vars, record, 0o600);
}
