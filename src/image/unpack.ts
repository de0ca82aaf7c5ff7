// Unpacks a compressed image and makes a stand-alone qcow2 (or ISO) of whatever came.
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, ProgramMissing, runOk } from '../host/process/run.ts';
import { convertDisk } from '../storage/disk.ts';
import { type DiskFormat, probeFile, usableFormat } from '../storage/probe.ts';
import { freeSpace } from '../storage/space.ts';
import type { BuiltImage } from './build/types.ts';

/** Below this the host's disk counts as full, and unpacking stops. */
const reserveBytes = 256 * 1024 ** 2;

/** Unpacks `from` beside itself as `to` when its first bytes say that it is compressed; false when it is not. */
export async function unpack(
  from: string,
  to: string,
  options: { signal: AbortSignal; onProgress?: (bytes: number) => void },
): Promise<boolean> {
  const probe = await probeFile(from);
  if (probe.kind !== 'compressed') return false;
  const part = `${to}.part`;
  try {
    if (probe.with === 'xz') await unxz(from, part, options.signal);
    else if (probe.with === 'gzip' || probe.with === 'zstd') {
      let written = 0;
      let nextLook = 0;
      const meter = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          written += chunk.length;
          options.onProgress?.(written);
          if (written < nextLook) return done(null, chunk);
          nextLook = written + 256 * 1024 ** 2;
          freeSpace(part).then(
            ({ freeBytes }) => (freeBytes < reserveBytes ? done(full(from)) : done(null, chunk)),
            (error: Error) => done(error),
          );
        },
      });
      const way = probe.with === 'gzip' ? createGunzip() : createZstdDecompress();
      await pipeline(createReadStream(from), way, meter, createWriteStream(part, { mode: 0o600 }), { signal: options.signal });
    } else
      throw new VivError('unsupported', `${from} is compressed with ${probe.with}, which is not unpacked here; unpack it and import it.`);
    await rename(part, to);
    return true;
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    if (options.signal.aborted || error instanceof VivError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw full(from, error);
    if (error instanceof ProgramMissing)
      throw new VivError(
        'missing_program',
        `Could not unpack ${from}: xz is not installed; install it with \`apt-get install xz-utils\`.`,
        { cause: error },
      );
    if (error instanceof ProgramFailed && /No space left/.test(error.message)) throw full(from, error);
    throw new VivError('corrupt', `${from} cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
}

/** What one file is as an image's only one. */
type OneFile = Pick<BuiltImage, 'kind' | 'virtualBytes' | 'disk' | 'iso' | 'kernel'>;

/** Makes `disk.qcow2` or `image.iso` in the folder of the file, which stays where it is, as this may be done again after a crash; says what it made. */
export async function makeUsable(
  file: string,
  folder: string,
  options: { signal: AbortSignal; asked?: DiskFormat; onProgress?: (percent: number) => void },
): Promise<OneFile> {
  const format = usableFormat(await probeFile(file), file, options.asked);
  if (format === 'iso') {
    const iso = 'image.iso';
    // As raw, which keeps holes.
    await convertDisk(file, 'raw', `${folder}/${iso}`, 'raw', options);
    return { kind: 'iso', virtualBytes: (await stat(`${folder}/${iso}`)).size, disk: null, iso, kernel: null };
  }
  const disk = 'disk.qcow2';
  // Made anew even when it is qcow2 already: that has no snapshots and no surprises of its own.
  await convertDisk(file, format, `${folder}/${disk}`, 'qcow2', options);
  const made = await probeFile(`${folder}/${disk}`);
  if (made.kind !== 'qcow2') throw new VivError('corrupt', `${file} did not become a qcow2 disk.`);
  return { kind: 'disk', virtualBytes: made.virtualBytes, disk, iso: null, kernel: null };
}

async function unxz(from: string, to: string, signal: AbortSignal): Promise<void> {
  // xz writes to standard output only; the shell connects it to the file, and both names are arguments, not text of the script.
  await runOk('sh', ['-c', 'exec xz --decompress --stdout --keep -- "$1" > "$2"', 'sh', from, to], {
    timeoutMs: 3600_000,
    signal,
    endsWithUs: true,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

function full(file: string, cause?: unknown): VivError {
  return new VivError(
    'no_space',
    `The disk is full, so ${file} could not be unpacked; free some space and try again.`,
    cause === undefined ? {} : { cause },
  );
}
