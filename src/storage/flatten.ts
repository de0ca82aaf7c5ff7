// Merges layers of sparse files into one: the data of an upper layer hides that of the layers below.
import { ftruncate, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { VivError } from '../contract/errors.ts';
import { dataRuns, type Run } from '../host/file/sparse-file.ts';

const readAt = promisify(read);
const writeAt = promisify(write);
const cutTo = promisify(ftruncate);

/** How much is read at once. */
const pieceBytes = 2 * 1024 * 1024;
/** Blocks of zeros of this size become holes: the block size of most file systems. */
const blockBytes = 4096;

/**
 * @param layers descriptors, bottom first; a hole in one shows the layer below it
 * @param to an empty file
 * @throws no_space; the signal's reason
 */
export async function flatten(
  layers: readonly number[],
  to: number,
  bytes: number,
  options: {
    signal: AbortSignal;
    onProgress?: (doneBytes: number, totalBytes: number) => void;
    /** Called with the data that was written, in order; gaps are zeros. */
    onData?: (bytes: Buffer, at: number) => void;
  },
): Promise<void> {
  const { signal, onProgress, onData } = options;
  await cutTo(to, 0);
  await cutTo(to, bytes);
  const pieces = visibleRuns(layers, bytes).sort((one, other) => one.from - other.from);
  const total = pieces.reduce((sum, { from, to: end }) => sum + end - from, 0);
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let done = 0;
  for (const { fd, from, to: end } of pieces) {
    for (let at = from; at < end; ) {
      signal.throwIfAborted();
      const { bytesRead } = await readAt(fd, buffer, 0, Math.min(pieceBytes, end - at), at);
      if (bytesRead === 0) throw new VivError('corrupt', 'a memory layer was truncated while it was read');
      const data = buffer.subarray(0, bytesRead);
      const written = writeData(to, data, at);
      onData?.(data, at); // meanwhile
      await written;
      at += bytesRead;
      done += bytesRead;
      onProgress?.(done, total);
    }
  }
}

/** Writes everything except blocks of zeros, which stay holes. */
async function writeData(fd: number, bytes: Buffer, offset: number): Promise<void> {
  let from = -1;
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const data = !isZero(bytes.subarray(at, at + blockBytes));
    if (data && from < 0) from = at;
    if (data || from < 0) continue;
    await writeAll(fd, bytes.subarray(from, at), offset + from);
    from = -1;
  }
  if (from >= 0) await writeAll(fd, bytes.subarray(from), offset + from);
}

async function writeAll(fd: number, bytes: Buffer, offset: number): Promise<void> {
  for (let put = 0; put < bytes.length; ) {
    const { bytesWritten } = await writeAt(fd, bytes, put, bytes.length - put, offset + put).catch(translate);
    put += bytesWritten;
  }
}

function translate(error: unknown): never {
  if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? ''))
    throw new VivError('no_space', 'cannot write the memory: the host’s disk is full. Free some space and try again', {
      cause: error,
    });
  throw error;
}

const zeros = Buffer.alloc(blockBytes);
const isZero = (block: Buffer): boolean => block.equals(block.length === blockBytes ? zeros : zeros.subarray(0, block.length));

/** The runs of each layer that no layer above hides. */
export function visibleRuns(layers: readonly number[], bytes: number): (Run & { readonly fd: number })[] {
  let open: Run[] = [{ from: 0, to: bytes }];
  const found: (Run & { fd: number })[] = [];
  for (const fd of layers.toReversed()) {
    const runs = [...dataRuns(fd, bytes)];
    found.push(...intersect(open, runs).map((run) => ({ ...run, fd })));
    open = subtract(open, runs);
  }
  return found;
}

/** Both lists are in order and without overlaps. */
function intersect(one: readonly Run[], other: readonly Run[]): Run[] {
  const result: Run[] = [];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const a = one[i] as Run;
    const b = other[j] as Run;
    const from = Math.max(a.from, b.from);
    const to = Math.min(a.to, b.to);
    if (from < to) result.push({ from, to });
    if (a.to < b.to) i += 1;
    else j += 1;
  }
  return result;
}

function subtract(whole: readonly Run[], parts: readonly Run[]): Run[] {
  const result: Run[] = [];
  let next = 0;
  for (const { from, to } of whole) {
    let at = from;
    while (next < parts.length && (parts[next] as Run).to <= at) next += 1;
    for (let nth = next; nth < parts.length && (parts[nth] as Run).from < to; nth++) {
      const part = parts[nth] as Run;
      if (part.from > at) result.push({ from: at, to: part.from });
      at = Math.max(at, part.to);
    }
    if (at < to) result.push({ from: at, to });
  }
  return result;
}
