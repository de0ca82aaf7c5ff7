// Unpacks a compressed image and converts the result to an independent qcow2 (an ISO stays one).
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, ProgramMissing, runOk } from '../host/process/run.ts';
import { checkComplete } from '../storage/complete.ts';
import { convertDisk } from '../storage/disk.ts';
import { type DiskFormat, probeFile, usableFormat } from '../storage/probe.ts';
import { freeSpace } from '../storage/space.ts';
import type { BuiltImage } from './build/types.ts';

/** Unpacking stops when less than this is free, in bytes. */
const reserveBytes = 256 * 1024 ** 2;

/** Unpacks `from` to `to` when its first bytes show that it is compressed. @returns false when it is not */
export async function unpack(
  from: string,
  to: string,
  options: { signal: AbortSignal; onProgress?: (bytes: number) => void },
): Promise<boolean> {
  const probe = await probeFile(from);
  if (probe.kind !== 'compressed') return false;
  const part = `${to}.part`;
  try {
    if (probe.with === 'xz' || probe.with === 'bzip2') await runDecompressor(programs[probe.with], from, part, options.signal);
    else {
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
    }
    await rename(part, to);
    return true;
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    if (options.signal.aborted || error instanceof VivError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw full(from, error);
    if (error instanceof ProgramMissing)
      throw new VivError(
        'missing_program',
        `cannot unpack ${from}: ${error.program} is not installed. Install it with: apt-get install xz-utils bzip2`,
        { cause: error },
      );
    if (error instanceof ProgramFailed && /No space left/.test(error.message)) throw full(from, error);
    if (/unexpected end|ends? unexpectedly|truncated|premature/i.test((error as Error).message))
      throw new VivError('corrupt', `${from} is cut off: its ${probe.with} stream ends early. Download or copy it again`, { cause: error });
    throw new VivError('corrupt', `${from} cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
}

/** Runs `act`; its errors name the source of the image instead of a file in the staging folder. */
export async function namingOrigin<T>(staging: string, origin: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof VivError)) throw error;
    const path = new RegExp(`${staging.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}/[^\\s:;,'"]*`, 'g');
    const { code, message, details } = error.toBody();
    throw new VivError(
      code,
      message.replace(path, () => origin),
      { cause: error, ...(details === undefined ? {} : { details }) },
    );
  }
}

/** What one file is as an image's only one. */
type OneFile = Pick<BuiltImage, 'kind' | 'virtualBytes' | 'disk' | 'iso' | 'kernel'>;

/** Creates `disk.qcow2` or `image.iso` in the folder of the file, and keeps the file, because this runs again after a crash. @returns what it created */
export async function makeUsable(
  file: string,
  folder: string,
  options: { signal: AbortSignal; asked?: DiskFormat; onProgress?: (percent: number) => void },
): Promise<OneFile> {
  const format = usableFormat(await probeFile(file), file, options.asked);
  await checkComplete(file, format);
  if (format === 'iso') {
    const iso = 'image.iso';
    // As raw, which keeps holes.
    await convertDisk(file, 'raw', `${folder}/${iso}`, 'raw', options);
    return { kind: 'iso', virtualBytes: (await stat(`${folder}/${iso}`)).size, disk: null, iso, kernel: null };
  }
  const disk = 'disk.qcow2';
  // Converted even when it is qcow2 already, so that it has no internal snapshots or unusual features.
  await convertDisk(file, format, `${folder}/${disk}`, 'qcow2', options);
  const made = await probeFile(`${folder}/${disk}`);
  if (made.kind !== 'qcow2') throw new VivError('corrupt', `qemu-img did not convert ${file} to qcow2`);
  return { kind: 'disk', virtualBytes: made.virtualBytes, disk, iso: null, kernel: null };
}

const programs = { xz: 'xz', bzip2: 'bzip2' } as const;

async function runDecompressor(program: string, from: string, to: string, signal: AbortSignal): Promise<void> {
  // The program writes to standard output, which the shell redirects to the file; names are arguments, not text of the script.
  await runOk(
    'sh',
    ['-c', 'command -v "$1" >/dev/null || exit 127; exec "$1" --decompress --stdout --keep -- "$2" > "$3"', 'sh', program, from, to],
    {
      timeoutMs: 3600_000,
      signal,
      endsWithUs: true,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    },
  );
}

function full(file: string, cause?: unknown): VivError {
  return new VivError(
    'no_space',
    `cannot unpack ${file}: the host’s disk is full. Free some space and try again`,
    cause === undefined ? {} : { cause },
  );
}
