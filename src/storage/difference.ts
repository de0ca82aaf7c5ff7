// Which regions of two disks differ. Both are chains of qcow2 files that nobody writes to meanwhile: data at the same offset of the same
// file is equal without being read; all other data is read from where qemu-img locates it, and compared.
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { backingFile } from './chain.ts';
import { long, qemuImg } from './qemu-img.ts';

/** An extent of a disk, and where its data is. */
export interface Extent {
  readonly start: number;
  readonly length: number;
  readonly from: Source;
}

export type Source =
  | { readonly type: 'zeros' }
  /** Uncompressed, at this offset of the file. */
  | { readonly type: 'bytes'; readonly file: string; readonly offset: number }
  /** Compressed inside this file: equal where the same file has it at the same place. */
  | { readonly type: 'packed'; readonly file: string };

/** A part whose data the two disks have at different places. */
export interface Candidate {
  readonly start: number;
  readonly length: number;
  readonly one: Source;
  readonly other: Source;
}

export interface Range {
  offset: number;
  length: number;
}

export interface Difference {
  changedBytes: number;
  /** In order; adjacent ones are joined. */
  ranges: Range[];
  /** How many further ranges are not listed. */
  more: number;
}

const blockBytes = 65536;
/** How much is read at once; a multiple of the block size. */
const readBytes = 16 * blockBytes;
/** About 200 bytes for each extent: more than a disk of 1 TiB has that was written in pieces of 1 MiB. */
const mostMapBytes = 256 * 2 ** 20;

/**
 * The parts of two disks that have to be compared, in order. Beyond its end a disk reads as zeros. Pure.
 * @param one @param other extents in order and without gaps
 */
export function* candidates(one: readonly Extent[], other: readonly Extent[]): Generator<Candidate> {
  const end = Math.max(endOf(one), endOf(other));
  let [nthOne, nthOther] = [0, 0];
  for (let start = 0; start < end; ) {
    const [a, b] = [one[nthOne], other[nthOther]];
    const stop = Math.min(a ? a.start + a.length : end, b ? b.start + b.length : end);
    const [left, right] = [sourceAt(a, start), sourceAt(b, start)];
    if (!isSame(left, right)) yield { start, length: stop - start, one: left, other: right };
    if (a && a.start + a.length === stop) nthOne += 1;
    if (b && b.start + b.length === stop) nthOther += 1;
    start = stop;
  }
}

const endOf = (extents: readonly Extent[]): number => {
  const last = extents.at(-1);
  return last ? last.start + last.length : 0;
};

function sourceAt(extent: Extent | undefined, at: number): Source {
  if (!extent) return { type: 'zeros' };
  const { from, start } = extent;
  return from.type === 'bytes' ? { ...from, offset: from.offset + at - start } : from;
}

function isSame(one: Source, other: Source): boolean {
  if (one.type === 'zeros' || other.type === 'zeros') return one.type === other.type;
  if (one.type !== other.type || one.file !== other.file) return false;
  return one.type === 'packed' || one.offset === (other as typeof one).offset;
}

/**
 * How two qcow2 disks differ, in blocks of 64 KiB. Compressed data counts as changed unless both disks have it from the same place, because
 * it is not decompressed.
 * @param mostRanges how many ranges are listed
 * @throws not_found, corrupt, missing_program, timeout
 */
export async function compareDisks(one: string, other: string, mostRanges: number, signal: AbortSignal): Promise<Difference> {
  const [left, right] = [await extentsOf(one, signal), await extentsOf(other, signal)];
  const difference: Difference = { changedBytes: 0, ranges: [], more: 0 };
  const end = Math.max(endOf(left), endOf(right));
  let last: Range | undefined;
  // Whole blocks, because the granularity of holes differs between file systems.
  const add = (from: number, length: number) => {
    const until = Math.min(end, Math.ceil((from + length) / blockBytes) * blockBytes);
    const reported = last ? last.offset + last.length : 0;
    const offset = Math.max(reported, Math.floor(from / blockBytes) * blockBytes);
    if (until <= offset) return;
    difference.changedBytes += until - offset;
    if (last && offset === reported) {
      last.length += until - offset;
      return;
    }
    last = { offset, length: until - offset };
    if (difference.ranges.length < mostRanges) difference.ranges.push(last);
    else difference.more += 1;
  };
  await using files = new OpenFiles();
  for (const candidate of candidates(left, right)) await compare(candidate, files, add, signal);
  return difference;
}

async function compare(
  { start, length, one, other }: Candidate,
  files: OpenFiles,
  add: (offset: number, length: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (one.type === 'packed' || other.type === 'packed') return add(start, length);
  for (let at = 0; at < length; ) {
    signal.throwIfAborted();
    // Up to the end of a block, so that blocks do not depend on the extents.
    const desired = Math.min(length - at, readBytes - ((start + at) % blockBytes));
    const [left, right] = await Promise.all([files.read(one, at, desired), files.read(other, at, desired)]);
    for (let from = 0; from < desired; ) {
      const to = Math.min(desired, from + blockBytes - ((start + at + from) % blockBytes));
      if (left.compare(right, from, to, from, to) !== 0) add(start + at + from, to - from);
      from = to;
    }
    at += desired;
  }
}

const zeros = Buffer.alloc(readBytes);

/** The files that are read, each opened once. */
class OpenFiles implements AsyncDisposable {
  readonly #handles = new Map<string, Promise<FileHandle>>();

  async read(source: Source, at: number, length: number): Promise<Buffer> {
    if (source.type !== 'bytes') return zeros.subarray(0, length);
    const opened = this.#handles.get(source.file) ?? open(source.file, 'r');
    this.#handles.set(source.file, opened);
    const handle = await opened;
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(bytes, done, length - done, source.offset + at + done);
      if (bytesRead === 0) break; // a file may end before its last cluster does: zeros
      done += bytesRead;
    }
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of this.#handles.values())
      await opened.then(
        (handle) => handle.close(),
        () => {},
      );
  }
}

const MapOutput = z.array(
  z.object({
    start: z.number(),
    length: z.number(),
    depth: z.number(),
    zero: z.boolean(),
    data: z.boolean(),
    compressed: z.boolean().default(false),
    offset: z.number().optional(),
    filename: z.string().optional(),
  }),
);

/** Where the data of a qcow2 disk is, including its backing files. */
async function extentsOf(file: string, signal: AbortSignal): Promise<Extent[]> {
  // First, because its error names the missing file.
  const chain = [file];
  for (let at = (await backingFile(file)).backing; at !== null; at = await belowOf(at)) chain.push(at);
  // -U: a guest may have a backing file open, read-only.
  const text = await qemuImg(['map', '-U', '-f', 'qcow2', '--output=json', '--', file], `read the map of the disk ${file}`, {
    timeoutMs: long,
    signal,
    keepBytes: mostMapBytes,
  });
  if (!text.trimEnd().endsWith(']') || !text.startsWith('['))
    throw new VivError('unsupported', `cannot compare the disk ${file}: it is too fragmented`);
  return MapOutput.parse(JSON.parse(text)).map(({ start, length, depth, zero, data, compressed, offset, filename }) => ({
    start,
    length,
    from:
      zero || !data
        ? { type: 'zeros' }
        : compressed || offset === undefined
          ? { type: 'packed', file: chain[depth] ?? file }
          : { type: 'bytes', file: filename ?? chain[depth] ?? file, offset },
  }));
}

/** Null where it has none, or is not qcow2. */
const belowOf = (file: string): Promise<string | null> =>
  backingFile(file).then(
    ({ backing }) => backing,
    (error: unknown) => {
      if (error instanceof VivError && error.code === 'corrupt') return null;
      throw error;
    },
  );
