// A VM made from a snapshot of another: a copy in everything but who it is.
import { randomUUID } from 'node:crypto';
import { basename, join } from 'node:path';
import { newId } from '../../host/id.ts';
import { createOverlay } from '../../storage/disk.ts';
import { varsId } from '../capture/overlays.ts';
import type { SnapshotRecord } from '../capture/snapshot-record.ts';
import { isVirtual, macOf } from '../device/nics.ts';
import { copyTpm } from '../device/tpm.ts';
import { makeFiles, own } from '../files.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';

export interface Child {
  readonly id: string;
  readonly name: string;
  readonly uid: number | null;
}

/** The record of a fork. With memory it is suspended, and resumes from the snapshot. Pure. */
export function childRecord(
  snapshot: SnapshotRecord,
  child: Child,
  parentName: string,
  services: Uses<'paths'>,
  createdAt: number,
): VmRecord {
  const { vmRecord: vm } = snapshot;
  const withMemory = snapshot.memory !== null;
  return {
    ...pendingIdentity(vm, child, parentName, createdAt),
    ...overlaysOver(vm, services.paths.vm(child.id).state),
    state: withMemory ? 'suspended' : 'stopped',
    started: withMemory ? vm.started : null,
    resumeFrom: withMemory ? snapshot.id : null,
  };
}

/** What every copy of a VM has in common: it is stopped and has an identity of its own. Its files are the caller's to name. Pure. */
export function pendingIdentity(vm: VmRecord, { id, name, uid }: Child, parentName: string, createdAt: number): VmRecord {
  const nics = vm.nics.map((nic) => ({ ...nic, mac: macOf(id, Number(nic.id.slice(3))), ipv4: null, ipv6: null }));
  return {
    ...vm,
    ...{ id, name, uid, uuid: randomUUID(), createdAt, complete: false },
    ...{ state: 'stopped', stateReason: null, desired: 'stopped', started: null, startedAt: null, bootId: null, restarts: 0 },
    // Automatic snapshots are the other's: a hundred forks of it would make a hundred of each.
    settings: { ...vm.settings, hostname: null, snapshotPolicy: null },
    ...{ at: null, resumeFrom: null, resumedFromSuspend: false },
    pendingIdentity: {
      macs: nics.map((nic, index) => ({ old: vm.nics[index]?.mac ?? nic.mac, new: nic.mac, keepAddresses: !isVirtual(nic) })),
    },
    forkedFrom: parentName,
    nics,
  };
}

/** New files over a snapshot's layers, in a VM's folder. Pure but for the names. */
export function overlaysOver(vm: VmRecord, folder: string): Pick<VmRecord, 'disks' | 'vars'> {
  const fresh = (id: string) => join(folder, `${id}-${newId()}.qcow2`);
  return {
    disks: vm.disks.map((disk) =>
      disk.kind === 'cdrom'
        ? disk
        : disk.kind === 'seed'
          ? { ...disk, file: join(folder, basename(disk.file)) }
          : { ...disk, backing: disk.file, file: fresh(disk.id) },
    ),
    vars: vm.vars === null ? null : fresh(varsId),
  };
}

/**
 * Creates everything that the start of a fork needs. Repeatable: files that exist are created again.
 * @param newTpm without the state of the parent's TPM; the first start creates a new one
 */
export async function makeChildFiles(
  record: VmRecord,
  snapshot: SnapshotRecord,
  services: Uses<'paths'>,
  signal: AbortSignal,
  { newTpm = false }: { newTpm?: boolean } = {},
): Promise<void> {
  await makeFiles(record, services, signal);
  await makeVarsOver(record, snapshot);
  if (!newTpm) await copyTpm(services.paths.snapshot(snapshot.id).tpm, services.paths.vm(record.id).tpm, record);
}

/** UEFI variables on top of the snapshot's. Repeatable. */
export async function makeVarsOver(record: VmRecord, snapshot: SnapshotRecord): Promise<void> {
  if (record.vars === null || snapshot.vmRecord.vars === null) return;
  await createOverlay(record.vars, { backing: snapshot.vmRecord.vars });
  await own(record.vars, record, 0o600);
}
