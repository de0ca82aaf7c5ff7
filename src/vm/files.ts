// A VM's own folder and files: created, handed to its user, checked and removed.
import { chmod, chown, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VivError } from '../contract/errors.ts';
import { makeFolder as makePlainFolder } from '../host/file/folder.ts';
import { findFirmware } from '../qemu/firmware-files.ts';
import { convertDisk, createDisk, createOverlay } from '../storage/disk.ts';
import { writeSeed } from './device/cloud-init-seed.ts';
import type { VmRecord } from './record.ts';
import type { Uses } from './services.ts';
import { hostnameOf, startDisks, startSettings } from './spec.ts';

/** Creates the folder and everything in it that a start needs. Repeatable: files that exist are created again. */
export async function makeFiles(record: VmRecord, services: Uses<'paths'>, signal: AbortSignal): Promise<void> {
  await makeFolder(record, services);
  for (const disk of record.disks) {
    signal.throwIfAborted();
    if (disk.kind === 'root' || disk.kind === 'data') {
      if (disk.backing !== null) await createOverlay(disk.file, { backing: disk.backing, sizeBytes: disk.sizeBytes });
      else await createDisk(disk.file, disk.sizeBytes);
      await own(disk.file, record, 0o600);
    }
  }
  await makeFirmwareVars(record, services);
  await makeSeed(record, services, signal);
}

/** An empty one. */
export async function makeFolder({ id }: VmRecord, services: Uses<'paths'>): Promise<void> {
  const { state } = services.paths.vm(id);
  await rm(state, { recursive: true, force: true });
  await makePlainFolder(state, 0o711);
}

/**
 * The VM's own UEFI variables, from its firmware's template, where it has none yet: a VM may be set to UEFI later.
 * Variables that are there are left: the guest has written its boot entries into them.
 */
export async function makeFirmwareVars(record: VmRecord, services: Uses<'paths'>): Promise<void> {
  const { firmwareVars } = services.paths.vm(record.id);
  if (startSettings(record).firmware !== 'uefi' || record.vars !== null || (await isFile(firmwareVars))) return;
  if (record.state === 'suspended') throw missing(record, firmwareVars);
  const { vars } = await findFirmware(record.arch);
  await convertDisk(vars, 'raw', firmwareVars, 'qcow2');
  await own(firmwareVars, record, 0o600);
}

/** User data as bytes, however it was given. */
const userDataOf = ({ userData, userDataBase64 }: NonNullable<VmRecord['seed']>): string | Buffer | null =>
  userDataBase64 === null ? userData : Buffer.from(userDataBase64, 'base64');

/** Writes the cloud-init seed from the record; the instance id stays, so cloud-init does not start over. */
export async function makeSeed(record: VmRecord, services: Uses<'paths'>, signal: AbortSignal): Promise<void> {
  if (record.seed === null) return;
  const { seed } = services.paths.vm(record.id);
  const { users, sshKeys, networkConfig } = record.seed;
  const userData = userDataOf(record.seed);
  await writeSeed(
    seed,
    {
      instanceId: record.id,
      hostname: hostnameOf(record),
      users,
      sshKeys,
      ...(userData === null ? {} : { userData }),
      networkConfig,
      arch: record.arch,
    },
    { signal },
  );
  await own(seed, record, 0o400);
}

/** Folders and logs that QEMU writes to, made before each start. */
export async function makeRunFiles(record: VmRecord, services: Uses<'paths'>): Promise<void> {
  const paths = services.paths.vm(record.id);
  await makePlainFolder(dirname(paths.run), 0o711);
  await rm(paths.run, { recursive: true, force: true });
  await mkdir(paths.run, { mode: 0o700 });
  await own(paths.run, record, 0o700);
  for (const file of [paths.serialLog, paths.qemuLog]) {
    const handle = await open(file, 'a', 0o600);
    await handle.close();
  }
  await own(paths.serialLog, record, 0o600);
}

/** An empty file of the VM's own that QEMU may write. */
export async function makeOwnFile(file: string, record: VmRecord): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  await handle.close();
  await own(file, record, 0o600);
}

export async function removeFiles(record: VmRecord, services: Uses<'paths'>): Promise<void> {
  const paths = services.paths.vm(record.id);
  await rm(paths.run, { recursive: true, force: true });
  await rm(paths.state, { recursive: true, force: true });
}

/** @throws corrupt naming the first file that is not there */
export async function checkFiles(record: VmRecord): Promise<void> {
  const files = [
    ...startDisks(record).flatMap((disk) => [disk.file, ...(disk.backing === null ? [] : [disk.backing])]),
    ...(record.kernel ? [record.kernel.file, record.kernel.initrd] : []),
  ];
  for (const file of files) {
    if (!(await isFile(file))) throw missing(record, file);
  }
}

const isFile = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

export const missing = ({ name }: { readonly name: string }, file: string): VivError =>
  new VivError('corrupt', `${name} cannot start: its file ${file} is missing; put it back from a copy`, { details: { file } });

/**
 * What no longer changes, and VMs are made from. Its folder is the daemon's alone: a VM finds it in its mount namespace, if it is made from it
 * (confine.ts). Repeatable.
 */
export async function seal(file: string, { uid }: Pick<VmRecord, 'uid'>): Promise<void> {
  if (uid !== null) await chown(file, 0, 0);
  await chmod(file, uid === null ? 0o400 : 0o444);
}

export async function own(path: string, record: VmRecord, mode: number): Promise<void> {
  await chmod(path, mode);
  if (record.uid !== null) await chown(path, record.uid, record.uid);
}
