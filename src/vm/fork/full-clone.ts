// A full clone: a VM of copies, which shares no file with the one it was made from, so that this one, its snapshots and its
// image can be removed. What of a VM never changes (kernel, CDs) becomes a layer, so that forks of the clone find it too.
import { existsSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Progress } from '../../contract/task.ts';
import { newId } from '../../host/id.ts';
import { endTpm } from '../../qemu/tpm.ts';
import { convertDisk, copyBytes, copyPlain } from '../../storage/disk.ts';
import { requireSpace } from '../../storage/space.ts';
import { isWritable } from '../capture/overlays.ts';
import { copyTpm } from '../device/tpm.ts';
import { makeFolder, makeSeed, own, seal } from '../files.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';
import { type Child, pendingIdentity } from './fork-record.ts';

/** What is copied: a VM that is stopped, or as a snapshot of its disks has it. */
export interface Origin {
  readonly vm: VmRecord;
  /** Its UEFI variables; null: it has none. */
  readonly vars: string | null;
  /** Folder of what its TPM keeps; there if it has one. */
  readonly tpm: string;
}

interface Copy {
  readonly from: string;
  readonly to: string;
  /** disk: written by the guest, and the VM's own. cd, file: never changes, and becomes a layer. */
  readonly kind: 'disk' | 'cd' | 'file';
}

/** A VM that is stopped, as its files are now. */
export function originNow(vm: VmRecord, services: Uses<'paths'>): Origin {
  const paths = services.paths.vm(vm.id);
  const vars = vm.vars ?? paths.firmwareVars;
  return { vm, vars: existsSync(vars) ? vars : null, tpm: paths.tpm };
}

/** The record of a clone; the names of its layers are new each time. Pure. */
export function cloneRecord({ vm }: Origin, child: Child, parentName: string, services: Uses<'paths'>, createdAt: number): VmRecord {
  const { state } = services.paths.vm(child.id);
  const layer = (kind: string) => join(services.paths.layers, `${newId()}.${kind}`);
  const { kernel } = vm;
  return {
    ...pendingIdentity(vm, child, parentName, createdAt),
    image: { ...vm.image, digest: null },
    kernel: kernel && { ...kernel, file: layer('kernel'), initrd: layer('initrd') },
    disks: vm.disks.map((disk) =>
      isWritable(disk)
        ? { ...disk, backing: null, file: join(state, `${disk.id}.qcow2`) }
        : disk.kind === 'cdrom'
          ? { ...disk, digest: null, file: layer('iso') }
          : { ...disk, file: join(state, basename(disk.file)) },
    ),
    vars: null,
  };
}

function copiesOf({ vm, vars }: Origin, clone: VmRecord, services: Uses<'paths'>): Copy[] {
  const disks = vm.disks.flatMap((disk, nth): Copy[] => {
    const to = clone.disks[nth]?.file;
    if (to === undefined || disk.kind === 'seed') return [];
    return [{ from: disk.file, to, kind: disk.kind === 'cdrom' ? 'cd' : 'disk' }];
  });
  const kernel: Copy[] =
    vm.kernel && clone.kernel
      ? [
          { from: vm.kernel.file, to: clone.kernel.file, kind: 'file' },
          { from: vm.kernel.initrd, to: clone.kernel.initrd, kind: 'file' },
        ]
      : [];
  return [
    ...kernel,
    ...(vars === null ? [] : [{ from: vars, to: services.paths.vm(clone.id).firmwareVars, kind: 'disk' } as const]),
    ...disks,
  ];
}

const bytesOf = async ({ from, kind }: Pick<Copy, 'from' | 'kind'>): Promise<number> =>
  kind === 'disk' ? copyBytes(from) : (await stat(from)).blocks * 512;

/** Before anything is made. @throws no_space, not_found, corrupt */
export async function checkCloneRoom(what: string, { vm, vars }: Origin, count: number, services: Uses<'paths'>): Promise<void> {
  const { disks, kernel } = vm;
  const parts: Pick<Copy, 'from' | 'kind'>[] = [
    ...disks.flatMap(({ kind, file: from }) => (kind === 'seed' ? [] : [{ from, kind: kind === 'cdrom' ? 'cd' : 'disk' } as const])),
    ...(kernel ? [kernel.file, kernel.initrd] : []).map((from) => ({ from, kind: 'file' }) as const),
    ...(vars === null ? [] : [{ from: vars, kind: 'disk' } as const]),
  ];
  let bytes = 0;
  for (const part of parts) bytes += await bytesOf(part);
  await requireSpace(
    services.paths.stateDirectory,
    bytes * count,
    count === 1 ? `a full clone of ${what}` : `${count} full clones of ${what}`,
  );
}

/**
 * Copies everything. Repeatable: files that exist are created again.
 * @param newTpm all but what the other's TPM keeps; its first start makes a new one
 * @throws no_space; the signal's reason
 */
export async function makeClone(
  origin: Origin,
  clone: VmRecord,
  services: Uses<'paths'>,
  { signal, progress, newTpm }: { signal: AbortSignal; progress: (progress: Progress) => void; newTpm: boolean },
): Promise<void> {
  const copies = copiesOf(origin, clone, services);
  const sizes = await Promise.all(copies.map(bytesOf));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  const report = (bytes: number) => progress({ message: `copying into ${clone.name}`, done: Math.round(bytes), total, unit: 'bytes' });
  await makeFolder(clone, services);
  for (const [nth, copy] of copies.entries()) {
    signal.throwIfAborted();
    report(done);
    const size = sizes[nth] ?? 0;
    await make(copy, clone, services, signal, (percent) => report(done + (size * percent) / 100));
    done += size;
  }
  report(done);
  await endTpm(origin.tpm); // its QEMU may have ended in this moment
  if (!newTpm) await copyTpm(origin.tpm, services.paths.vm(clone.id).tpm, clone);
  await makeSeed(clone, services, signal);
}

async function make(
  { from, to, kind }: Copy,
  clone: VmRecord,
  services: Uses<'paths'>,
  signal: AbortSignal,
  onProgress: (percent: number) => void,
): Promise<void> {
  if (kind === 'disk') {
    await convertDisk(from, 'qcow2', to, 'qcow2', { signal, onProgress });
    return own(to, clone, 0o600);
  }
  // Created in the clone's own folder: a partial file among the layers would be removed as unused.
  const part = join(services.paths.vm(clone.id).state, basename(to));
  if (kind === 'cd') await convertDisk(from, 'raw', part, 'raw', { signal, onProgress });
  else await copyPlain(from, part);
  await rename(part, to);
  await seal(to, clone);
}

/** Removes the layers that makeClone has created; no other VM uses them before the clone is complete. Repeatable. */
export async function removeCloneLayers({ disks, kernel }: VmRecord, services: Uses<'paths'>): Promise<void> {
  const files = [...disks.map(({ file }) => file), ...(kernel ? [kernel.file, kernel.initrd] : [])];
  for (const file of files) if (file.startsWith(`${services.paths.layers}/`)) await rm(file, { force: true });
}
