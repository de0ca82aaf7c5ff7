// A VM's serial output. QEMU appends it to serial.log itself, so nothing is lost while no daemon runs; its length is bounded there as well
// (native/qemu-preload/bounded_log.c).
// Older parts are kept as serial.log.1 (the newest of them) to serial.log.3.
import { watch } from 'node:fs';
import { type FileHandle, open, rename, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

const partBytes = 4 * 1024 * 1024;
const parts = 3;

/**
 * Moves a grown log aside. QEMU holds the file open and appends, so its content is copied and the file truncated, not renamed. Of a log that is
 * longer than a part, its end is kept; whatever the size, it is read in pieces.
 */
export async function rotate(file: string, limitBytes = partBytes): Promise<void> {
  const size = await sizeOf(file);
  if (size < limitBytes) return;
  for (let part = parts - 1; part >= 1; part--) await rename(`${file}.${part}`, `${file}.${part + 1}`).catch(ignoreAbsent);
  await using to = await open(`${file}.1`, 'w', 0o600);
  const from = Math.max(0, size - partBytes);
  let copied = from;
  // What is written in the meantime is copied as well; a guest that writes faster than that loses the rest.
  for (let end = size; end > copied && copied - from < 2 * partBytes; end = await sizeOf(file))
    for await (const chunk of readFrom(file, copied, Math.min(end, copied + partBytes))) {
      await to.write(chunk);
      copied += chunk.length;
    }
  await truncate(file, 0);
}

/** Bytes that are kept of the log, oldest first: only the last `tailBytes` when given; the newest part only up to byte `upTo`. */
export async function* readLog(file: string, tailBytes?: number, upTo?: number): AsyncGenerator<Buffer> {
  const older = Array.from({ length: parts }, (_, index) => `${file}.${parts - index}`);
  const files = [...older, file];
  const sizes = [...(await Promise.all(older.map(sizeOf))), upTo ?? (await sizeOf(file))];
  let skip = tailBytes === undefined ? 0 : Math.max(0, sizes.reduce((sum, size) => sum + size, 0) - tailBytes);
  for (const [index, path] of files.entries()) {
    const size = sizes[index] ?? 0;
    if (skip >= size) {
      skip -= size;
      continue;
    }
    yield* readFrom(path, skip, size);
    skip = 0;
  }
}

/** What is kept, then what is written from now on, until the signal. */
export async function* followLog(file: string, options: { tailBytes?: number; signal: AbortSignal }): AsyncGenerator<Buffer> {
  if (!(await untilThere(file, options.signal))) return;
  let offset = await sizeOf(file);
  yield* readLog(file, options.tailBytes, offset);
  let changed = Promise.withResolvers<void>();
  const watcher = watch(file, () => changed.resolve());
  const stop = () => changed.resolve();
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    while (!options.signal.aborted) {
      changed = Promise.withResolvers<void>();
      const size = await sizeOf(file);
      if (size < offset) offset = 0; // it was rotated
      if (size > offset) {
        for await (const chunk of readFrom(file, offset, size)) {
          offset += chunk.length;
          yield chunk;
        }
        continue;
      }
      if (options.signal.aborted) return;
      await changed.promise;
    }
  } finally {
    watcher.close();
    options.signal.removeEventListener('abort', stop);
  }
}

/** Before its first start a VM has no log. False: the signal came first. */
async function untilThere(file: string, signal: AbortSignal): Promise<boolean> {
  const there = () => stat(file).then(() => true, ignoreAbsent);
  if (await there()) return true;
  let changed = Promise.withResolvers<void>();
  const watcher = watch(dirname(file), () => changed.resolve());
  const stop = () => changed.resolve();
  signal.addEventListener('abort', stop, { once: true });
  try {
    while (!signal.aborted) {
      if (await there()) return true;
      await changed.promise;
      changed = Promise.withResolvers<void>();
    }
    return false;
  } finally {
    watcher.close();
    signal.removeEventListener('abort', stop);
  }
}

async function* readFrom(file: string, from: number, to: number): AsyncGenerator<Buffer> {
  const handle = await open(file, 'r').catch(ignoreAbsent);
  if (!handle) return;
  try {
    for (let at = from; at < to; ) {
      const chunk = await readPart(handle, at, Math.min(to, at + 65536));
      if (chunk.length === 0) return;
      at += chunk.length;
      yield chunk;
    }
  } finally {
    await handle.close();
  }
}

async function readPart(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.alloc(to - from);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
  return buffer.subarray(0, bytesRead);
}

const sizeOf = async (file: string): Promise<number> => (await stat(file).catch(ignoreAbsent))?.size ?? 0;

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
