// A VM's writable disks become layers: each file gets a second, permanent name, and the VM continues in an empty overlay that is
// backed by it. A layer has no owner: VMs and snapshots find it as their backing file.
import { existsSync } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../host/id.ts';
import type { NewOverlay } from '../../qemu/block.ts';
import { backingFiles } from '../../storage/chain.ts';
import { createOverlay } from '../../storage/disk.ts';
import { own, seal } from '../files.ts';
import type { DiskRecord, VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';

/** What the UEFI variables are called among the disks, as in qemu/args/firmware.ts. */
export const varsId = 'firmware-vars';

export interface Overlay extends NewOverlay {
  /** The permanent name of `from`. */
  readonly layer: string;
}

/** Disks that the guest writes to. */
export const isWritable = ({ kind }: DiskRecord): boolean => kind === 'root' || kind === 'data';

/** Plans one overlay per writable disk. Nothing is created yet. */
export function planOverlays(record: VmRecord, services: Uses<'paths'>): Overlay[] {
  const paths = services.paths.vm(record.id);
  const overlay = (disk: string, from: string): Overlay => {
    const id = newId();
    return { disk, from, layer: services.paths.layer(id), to: join(paths.state, `${disk}-${id}.qcow2`), node: `${disk}-${id}` };
  };
  const disks = record.disks.filter(isWritable).map(({ id, file }) => overlay(id, file));
  const vars = record.vars ?? paths.firmwareVars;
  return existsSync(vars) ? [...disks, overlay(varsId, vars)] : disks;
}

/** The record of the VM that writes to the new overlays. Pure. */
export const onOverlays = (record: VmRecord, overlays: readonly Overlay[]): Pick<VmRecord, 'disks' | 'vars'> =>
  withFiles(record, overlays, ({ to: file, layer: backing }) => ({ file, backing }));

/** The record says that it writes to them. Pure. */
export const isOnOverlays = ({ disks, vars }: VmRecord, overlays: readonly Overlay[]): boolean =>
  overlays.some(({ to }) => to === vars || disks.some(({ file }) => file === to));

/** The record of the VM that writes to the files before them. Their backing files are read from them: chains may have become shorter. */
export async function offOverlays({ id }: VmRecord, overlays: readonly Overlay[], services: Uses<'paths'>) {
  const below = await backingFiles(overlays.map(({ from }) => from));
  const { firmwareVars } = services.paths.vm(id);
  return (record: VmRecord): Pick<VmRecord, 'disks' | 'vars'> => {
    const { disks, vars } = withFiles(record, overlays, ({ from: file }) => ({ file, backing: below.get(file) ?? null }));
    return { disks, vars: vars === firmwareVars ? null : vars };
  };
}

/** The record as it is kept with a snapshot: its disks' files are the layers. Pure. */
export const asLayers = (record: VmRecord, overlays: readonly Overlay[]): Pick<VmRecord, 'disks' | 'vars'> =>
  withFiles(record, overlays, ({ layer: file }) => ({ file }));

function withFiles(
  record: VmRecord,
  overlays: readonly Overlay[],
  filesOf: (overlay: Overlay) => { file: string; backing?: string | null },
): Pick<VmRecord, 'disks' | 'vars'> {
  const found = (id: string) => {
    const overlay = overlays.find(({ disk }) => disk === id);
    return overlay && filesOf(overlay);
  };
  return { disks: record.disks.map((disk) => ({ ...disk, ...found(disk.id) })), vars: found(varsId)?.file ?? record.vars };
}

/** Creates the permanent names and the empty overlays. Repeatable. */
export async function makeOverlays(record: VmRecord, overlays: readonly Overlay[]): Promise<void> {
  for (const { disk, from, layer, to } of overlays) {
    await link(from, layer).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const sizeBytes = record.disks.find(({ id }) => id === disk)?.sizeBytes;
    await createOverlay(to, { backing: layer, ...(sizeBytes === undefined ? {} : { sizeBytes }) });
    await own(to, record, 0o600);
  }
}

/** Undoes makeOverlays, as long as no VM writes to them. Repeatable. */
export async function removeOverlays(overlays: readonly Overlay[]): Promise<void> {
  for (const { layer, to } of overlays) {
    await rm(to, { force: true });
    await rm(layer, { force: true });
  }
}

/** The layers no longer change. Repeatable. */
export async function sealLayers(record: VmRecord, overlays: readonly Overlay[]): Promise<void> {
  for (const { from, layer } of overlays) {
    await seal(layer, record);
    await rm(from, { force: true });
  }
}
