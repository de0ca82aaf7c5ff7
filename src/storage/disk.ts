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
 * Creates a qcow2 overlay at `file` of the qcow2 `backing` (an absolute path), which must not change afterwards. Replaces an existing file.
 * @param sizeBytes at least the size of the backing file, which is the default (UEFI variables are in flash, whose size determines its
 *   address)
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
      `a disk of ${sizeBytes} bytes is smaller than its image, which has ${leastBytes}; choose at least that size`,
      { details: { leastBytes } },
    );
  }
  await writeOverlay(file, { backing: options.backing, backingFormat: 'qcow2', sizeBytes });
}

/** Creates an empty qcow2 disk. Replaces an existing file. */
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

/** Grows a qcow2 disk that no guest uses; does nothing when it has that size. @throws invalid when it is larger already */
export async function resizeDisk(file: string, sizeBytes: number): Promise<void> {
  const desired = roundUp(sizeBytes);
  const { virtualBytes } = await diskInfo(file, 'qcow2');
  if (virtualBytes === desired) return;
  if (virtualBytes > desired) {
    throw new VivError(
      'invalid',
      `cannot shrink the disk ${file} from ${virtualBytes} to ${sizeBytes} bytes: the data at its end would be lost`,
    );
  }
  await qemuImg(['resize', '-q', '-f', 'qcow2', '--', file, String(desired)], `grow the disk ${file} to ${desired} bytes`);
}

/** Copies a disk and its backing files into one independent file; holes stay holes. Replaces an existing file. */
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

/** Copies a small file unchanged. Replaces an existing file. */
export async function copyPlain(from: string, to: string): Promise<void> {
  await exists(from);
  await replace(to, (part) => copyFile(from, part));
}

const MeasureOutput = z.object({ required: z.number() });

/** Upper bound of what an independent copy of a qcow2 takes on the host, in bytes: unallocated clusters are not copied. */
export async function copyBytes(file: string): Promise<number> {
  absolute(file);
  await exists(file);
  const output = await qemuImg(['measure', '-f', 'qcow2', '-O', 'qcow2', '--output=json', file], `measure the disk ${file}`, {
    timeoutMs: long,
  });
  return MeasureOutput.parse(JSON.parse(output)).required;
}

/** Checks a qcow2's tables. Leaked clusters are not damage. @throws corrupt */
export async function checkDisk(file: string, options: { signal?: AbortSignal } = {}): Promise<void> {
  absolute(file);
  await exists(file);
  try {
    await qemuImg(['check', '-q', '-f', 'qcow2', '--', file], `check the disk ${file}`, { timeoutMs: long, ...options });
  } catch (error) {
    const cause = error instanceof VivError ? (error.cause as { result?: { exitCode: number | null } } | undefined) : undefined;
    if (cause?.result?.exitCode === 3) return; // leaked clusters only (qemu-img(1), check)
    if (cause?.result?.exitCode === 2 || (error as VivError).code === 'internal') {
      throw new VivError('corrupt', `the disk ${file} is damaged: ${(error as Error).message}`, { cause: error });
    }
    throw error;
  }
}

/** A disk's size is a whole number of 64 KiB clusters: some guests and tools fail with other sizes. */
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
      throw new VivError('no_space', `cannot write ${file}: the host’s disk is full`, { cause: error });
    throw error;
  }
}

async function exists(file: string): Promise<{ size: number; blocks: number }> {
  try {
    await access(file);
    return await stat(file);
  } catch (cause) {
    throw new VivError('not_found', `there is no readable file ${file} on this host`, { cause });
  }
}

/** qemu-img interprets names such as `nbd:...` and `json:{...}` as protocols, but never an absolute path. */
function absolute(file: string): void {
  if (!isAbsolute(file)) throw new VivError('internal', `the disk ${JSON.stringify(file)} has no absolute path`);
}
