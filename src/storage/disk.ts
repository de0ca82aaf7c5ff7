// The storage room: disk files. It owns their creation, overlays, chains of backing files, comparison, checksums and the check that a file is
// complete. Which VM or snapshot needs a file is known to vm/ and snapshot/.
//
//   image ◄── base of a VM ◄── overlay of a snapshot ◄── active overlay     (◄── is the backing file of)
//   read-only                  read-only                 QEMU writes here
//
// This file creates, measures, resizes, converts and checks disks. Every function may be executed twice with the same result:
// a new disk is written beside its place and renamed into it.
import { access, copyFile, rename, rm, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { backingFile } from './chain.ts';
import { writeOverlay } from './overlay.ts';
import { long, qemuImg } from './qemu-img.ts';

export interface DiskInfo {
  /** Size that a guest sees. */
  readonly virtualBytes: number;
  /** What the file takes on the host. */
  readonly usedBytes: number;
  /** Absolute path of the backing file. */
  readonly backing: string | null;
}

const InfoOutput = z.object({
  'virtual-size': z.number(),
  'actual-size': z.number().optional(),
  'full-backing-filename': z.string().optional(),
  'backing-filename': z.string().optional(),
});

/**
 * A qcow2 disk at `file` that reads what it does not have itself from the qcow2 `backing` (an absolute path), which must
 * not change from then on. `sizeBytes` at least the backing's size; exactly that size by default (UEFI variables lie in flash, whose
 * size is what says where in memory they are). Replaces what is at `file`.
 */
export async function createOverlay(file: string, options: { backing: string; sizeBytes?: number }): Promise<void> {
  absolute(file);
  absolute(options.backing);
  await exists(options.backing);
  const { sizeBytes: leastBytes } = await backingFile(options.backing);
  const sizeBytes = options.sizeBytes === undefined ? leastBytes : roundUp(options.sizeBytes);
  if (sizeBytes < leastBytes) {
    throw new VivError(
      'invalid',
      `A disk of ${sizeBytes} bytes is smaller than its image, which has ${leastBytes}; ask for at least that.`,
      { details: { leastBytes } },
    );
  }
  await writeOverlay(file, { backing: options.backing, backingFormat: 'qcow2', sizeBytes });
}

/** An empty qcow2 disk. Replaces what is at `file`. */
export async function createDisk(file: string, sizeBytes: number): Promise<void> {
  absolute(file);
  await writeOverlay(file, { backing: null, backingFormat: 'qcow2', sizeBytes: roundUp(sizeBytes) });
}

/** Works while a guest uses the disk: nothing but its header is read. */
export async function diskInfo(file: string, format: 'qcow2' | 'raw'): Promise<DiskInfo> {
  absolute(file);
  const { size, blocks } = await exists(file);
  if (format === 'raw') return { virtualBytes: size, usedBytes: blocks * 512, backing: null };
  // -U: a running guest holds the lock; the header it changes (a resize) is re-read on the next call.
  const output = await qemuImg(['info', '-U', '-f', 'qcow2', '--output=json', '--', file], `look at the disk ${file}`);
  const info = InfoOutput.parse(JSON.parse(output));
  return {
    virtualBytes: info['virtual-size'],
    usedBytes: blocks * 512,
    backing: info['full-backing-filename'] ?? info['backing-filename'] ?? null,
  };
}

/** Grows a qcow2 disk that no guest uses; does nothing when it has that size. Throws invalid when it is larger already. */
export async function resizeDisk(file: string, sizeBytes: number): Promise<void> {
  const desired = roundUp(sizeBytes);
  const { virtualBytes } = await diskInfo(file, 'qcow2');
  if (virtualBytes === desired) return;
  if (virtualBytes > desired) {
    throw new VivError(
      'invalid',
      `The disk ${file} has ${virtualBytes} bytes and cannot shrink to ${sizeBytes}: what lies at its end would be lost.`,
    );
  }
  await qemuImg(['resize', '-q', '-f', 'qcow2', '--', file, String(desired)], `grow the disk ${file} to ${desired} bytes`);
}

/** Copies a disk (with everything its backing files add) into a new file of its own; holes stay holes. Replaces what is at `to`. */
export async function convertDisk(
  from: string,
  fromFormat: 'qcow2' | 'raw',
  to: string,
  toFormat: 'qcow2' | 'raw',
  options: { onProgress?: (percent: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  absolute(from);
  absolute(to);
  await exists(from);
  await replace(to, (part) =>
    qemuImg(['convert', '-p', '-f', fromFormat, '-O', toFormat, '--', from, part], `copy the disk ${from} to ${to}`, {
      timeoutMs: long,
      endsWithUs: true,
      keepBytes: 64 * 1024,
      ...(options.signal ? { signal: options.signal } : {}),
      onLine: (line) => {
        const percent = /\(([\d.]+)\/100%\)/.exec(line)?.[1];
        if (percent !== undefined) options.onProgress?.(Number(percent));
      },
    }),
  );
}

/** A small file as it is. Replaces what is at `to`. */
export async function copyPlain(from: string, to: string): Promise<void> {
  await exists(from);
  await replace(to, (part) => copyFile(from, part));
}

const MeasureOutput = z.object({ required: z.number() });

/** The most that a copy of a qcow2 (with everything its backing files add) takes on the host: what nobody has written is left out. */
export async function copyBytes(file: string): Promise<number> {
  absolute(file);
  await exists(file);
  const output = await qemuImg(['measure', '-f', 'qcow2', '-O', 'qcow2', '--output=json', file], `measure the disk ${file}`, {
    timeoutMs: long,
  });
  return MeasureOutput.parse(JSON.parse(output)).required;
}

/** Looks through a qcow2's tables; throws corrupt when they are damaged. Space that is merely lost is no damage. */
export async function checkDisk(file: string, options: { signal?: AbortSignal } = {}): Promise<void> {
  absolute(file);
  await exists(file);
  try {
    await qemuImg(['check', '-q', '-f', 'qcow2', '--', file], `check the disk ${file}`, { timeoutMs: long, ...options });
  } catch (error) {
    const cause = error instanceof VivError ? (error.cause as { result?: { exitCode: number | null } } | undefined) : undefined;
    if (cause?.result?.exitCode === 3) return; // leaked clusters only (qemu-img(1), check)
    if (cause?.result?.exitCode === 2 || (error as VivError).code === 'internal') {
      throw new VivError('corrupt', `The disk ${file} is damaged: ${(error as Error).message}`, { cause: error });
    }
    throw error;
  }
}

/** A disk's size is a whole number of 64 KiB clusters: some guests and tools stumble over less. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / 65536) * 65536;
}

async function replace(file: string, write: (part: string) => Promise<unknown>): Promise<void> {
  const part = `${file}.part`;
  try {
    await rm(part, { force: true });
    await write(part);
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
      throw new VivError('no_space', `Could not write ${file}: the disk is full.`, { cause: error });
    throw error;
  }
}

async function exists(file: string): Promise<{ size: number; blocks: number }> {
  try {
    await access(file);
    return await stat(file);
  } catch (cause) {
    throw new VivError('not_found', `There is no readable file ${file} on this host.`, { cause });
  }
}

/** qemu-img takes `nbd:...` and `json:{...}` for protocols; an absolute path is never one. */
function absolute(file: string): void {
  if (!isAbsolute(file)) throw new VivError('internal', `A disk's path must be absolute, and ${JSON.stringify(file)} is not.`);
}
