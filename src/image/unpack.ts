// Unpacks a compressed image and makes a stand-alone qcow2 (or ISO) of whatever came.
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, ProgramMissing, runOk } from '../host/run.ts';
import { convertDisk } from '../storage/disk.ts';
import { type DiskFormat, probeFile, usableFormat } from '../storage/probe.ts';
import { freeSpace } from '../storage/space.ts';

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

/** Makes `disk.qcow2` or `image.iso` in the same folder of the file; returns which. */
export async function makeUsable(
  file: string,
  folder: string,
  options: { signal: AbortSignal; asked?: DiskFormat; move: boolean; onProgress?: (percent: number) => void },
): Promise<{ format: 'qcow2' | 'iso'; name: string; virtualBytes: number }> {
  const probe = await probeFile(file);
  const format = usableFormat(probe, file, options.asked);
  if (format === 'iso') {
    const name = 'image.iso';
    if (options.move) await rename(file, `${folder}/${name}`);
    else await copySparse(file, `${folder}/${name}`, options.signal, options.onProgress);
    return { format, name, virtualBytes: (await stat(`${folder}/${name}`)).size };
  }
  const name = 'disk.qcow2';
  // Copied even when it is qcow2 already (unless we fetched it): the copy has no snapshots and no surprises of its own.
  if (options.move && format === 'qcow2') await rename(file, `${folder}/${name}`);
  else await convertDisk(file, format, `${folder}/${name}`, 'qcow2', options);
  const made = await probeFile(`${folder}/${name}`);
  if (made.kind !== 'qcow2') throw new VivError('corrupt', `${file} did not become a qcow2 disk.`);
  return { format: 'qcow2', name, virtualBytes: made.virtualBytes };
}

/** Copies through qemu-img as raw, which keeps holes. */
async function copySparse(from: string, to: string, signal: AbortSignal, onProgress?: (percent: number) => void): Promise<void> {
  await convertDisk(from, 'raw', to, 'raw', { signal, ...(onProgress ? { onProgress } : {}) });
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
