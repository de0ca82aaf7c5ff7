// Restoring a VM to one of its snapshots. Its present state is lost unless it has a snapshot too; no snapshot ever is.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createOverlay } from '../storage/disk.ts';
import type { SnapshotRecord } from '../vm/capture/snapshot-record.ts';
import { rulesOf } from '../vm/device/nics.ts';
import { copyTpm } from '../vm/device/tpm.ts';
import { own } from '../vm/files.ts';
import { makeVarsOver, overlaysOver } from '../vm/fork/fork-record.ts';
import type { DiskRecord, VmRecord } from '../vm/record.ts';
import type { Vm } from '../vm/vm.ts';
import { checkResume, checkSnapshot } from './check-files.ts';
import type { Uses } from './services.ts';

export type Overlays = Pick<VmRecord, 'disks' | 'vars'>;

export const planRestore = (vm: Vm, snapshot: SnapshotRecord): Overlays => overlaysOver(snapshot.vmRecord, vm.paths.state);

const isOwn = ({ kind }: DiskRecord): boolean => kind === 'root' || kind === 'data';

/** Before anything changes. @throws corrupt, no_accelerator, unsupported */
export async function checkRestore(vm: Vm, services: Uses<'checks' | 'host' | 'paths'>, snapshot: SnapshotRecord): Promise<void> {
  await checkSnapshot(snapshot, vm.name, services);
  if (snapshot.memory !== null)
    await checkResume(`${vm.name} at its snapshot ${snapshot.label ?? snapshot.id}`, snapshot.vmRecord, services);
}

/** Creates the empty overlays over the snapshot's layers while the VM runs. Repeatable. */
export async function makeRestoreOverlays(vm: Vm, snapshot: SnapshotRecord, overlays: Overlays): Promise<void> {
  const record = { ...vm.record, ...overlays };
  for (const disk of overlays.disks.filter(isOwn)) {
    await createOverlay(disk.file, { backing: disk.backing as string, sizeBytes: disk.sizeBytes });
    await own(disk.file, record, 0o600);
  }
  await makeVarsOver(record, snapshot);
}

const filesOf = ({ disks, vars }: Overlays): string[] => [...disks.filter(isOwn).map(({ file }) => file), ...(vars === null ? [] : [vars])];

/** Repeatable. A VM that has been restored to them keeps them. */
export async function removeRestoreOverlays(vm: Vm, overlays: Overlays): Promise<void> {
  const used = new Set(filesOf(vm.record));
  for (const file of filesOf(overlays)) if (!used.has(file)) await rm(file, { force: true });
}

/** The VM, whose process has ended, gets the state of the snapshot; with memory it is suspended, and its next start resumes it. */
export async function restoreState(vm: Vm, services: Uses<'paths'>, snapshot: SnapshotRecord, overlays: Overlays): Promise<void> {
  const { vmRecord: then } = snapshot;
  const withMemory = snapshot.memory !== null;
  await vm.update(({ settings: { restart, autostart, removeOnStop, snapshotPolicy }, nics: now }) => ({
    ...overlays,
    settings: { ...then.settings, restart, autostart, removeOnStop, snapshotPolicy },
    ...{ state: withMemory ? 'suspended' : 'stopped', stateReason: null, desired: 'stopped', at: snapshot.id },
    started: withMemory ? then.started : null,
    resumeFrom: withMemory ? snapshot.id : null,
    // A NIC's rules belong to the host and are not part of the VM's state.
    nics: then.nics.map((nic) => ({ ...nic, ...rulesOf(now.find(({ id }) => id === nic.id) ?? nic) })),
    seed: then.seed,
  }));
  await copyTpm(services.paths.snapshot(snapshot.id).tpm, vm.paths.tpm, vm.record);
  await rm(vm.paths.suspendState, { force: true });
  await removeUnusedOverlays(vm);
}

/** Also those that a daemon that died has left. The file of the UEFI variables it began with is not in its record. */
async function removeUnusedOverlays({ record, paths }: Vm): Promise<void> {
  const used = new Set([...filesOf(record), ...(record.vars === null ? [paths.firmwareVars] : [])]);
  for (const name of await readdir(paths.state)) {
    const file = join(paths.state, name);
    if (name.endsWith('.qcow2') && !used.has(file)) await rm(file, { force: true });
  }
}
