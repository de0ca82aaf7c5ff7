// What a VM's QEMU finds in its mount namespace: its own folders, and the files that it is made from. Nothing later or beside: neither what its
// parent wrote after a fork, nor a sibling's snapshot.
import { chmod, stat } from 'node:fs/promises';
import type { Paths } from '../host/paths.ts';
import { type Confinement, releaseFiles } from '../qemu/confinement.ts';
import { backingFile } from '../storage/chain.ts';
import type { SnapshotRecord } from './capture/snapshot-record.ts';
import type { VmRecord } from './record.ts';
import type { Uses } from './services.ts';
import { startDisks } from './spec.ts';
import type { Vm } from './vm.ts';

interface Start {
  readonly firmwareCode: string | null;
  /** The snapshot whose memory it resumes from. */
  readonly resumesFrom: SnapshotRecord | null;
  readonly kvm: boolean;
  readonly ownNetwork: boolean;
}

/** Null: the daemon is not root, and its VMs have its user. */
export async function confinementOf(record: VmRecord, { paths }: Uses<'paths'>, start: Start): Promise<Confinement | null> {
  if (record.uid === null) return null;
  const { state, run, firmwareVars } = paths.vm(record.id);
  const disks = startDisks(record);
  const files: string[] = [];
  for (const { kind, file } of disks) files.push(...(kind === 'root' || kind === 'data' ? await chainOf(file) : [file]));
  files.push(...(await chainOf(record.vars ?? firmwareVars)));
  if (record.kernel) files.push(record.kernel.file, record.kernel.initrd);
  if (start.firmwareCode !== null) files.push(start.firmwareCode);
  if (start.resumesFrom !== null) files.push(paths.snapshot(start.resumesFrom.id).devices);
  for (const file of files) if (isShared(file, paths)) await openToVms(file);
  return { uid: record.uid, folders: [state, run], files, kvm: start.kvm, ownNetwork: start.ownNetwork };
}

/** A disk and the files below it, as far as they can be read: QEMU says what is wrong with the next. */
async function chainOf(disk: string): Promise<string[]> {
  const files: string[] = [];
  for (let file: string | null = disk; file !== null && !files.includes(file); ) {
    files.push(file);
    file = await backingFile(file).then(
      ({ backing }) => backing,
      () => null,
    );
  }
  return files;
}

const isShared = (file: string, { layers, snapshots }: Paths): boolean =>
  [layers, snapshots].some((folder) => file.startsWith(`${folder}/`));

/** Version 0.1.0 has sealed them for a group. */
async function openToVms(file: string): Promise<void> {
  const { mode } = (await stat(file).catch(() => null)) ?? { mode: 0o444 };
  if ((mode & 0o004) === 0) await chmod(file, 0o444);
}

/** In the background, once its QEMU has opened what it is made from: from then on it has it by its descriptors alone. */
export function releaseMeanwhile(vm: Vm, { paths }: Uses<'paths'>): void {
  const { live } = vm;
  if (vm.record.uid === null || live === null) return;
  void releaseFiles(live.process.pid, [paths.layers, paths.snapshots]).catch((error: Error) => {
    if (!live.ended.aborted) vm.report('vm.problem', `its QEMU still sees the files that it was made from: ${error.message}`);
  });
}
