// Which regions of two disks differ. Both are chains of qcow2 files that nobody writes to meanwhile: what both have from the same
// place is the same without being read, and everything else is read from where qemu-img says that it lies, and compared.
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { backingFile } from './chain.ts';
import { long, qemuImg } from './qemu-img.ts';

/** A piece of a disk, and where its bytes are. */
export interface Extent {
  readonly start: number;
  readonly length: number;
  readonly from: Source;
}

export type Source =
  | { readonly type: 'zeros' }
  /** Plain bytes, from this offset of the file. */
  | { readonly type: 'bytes'; readonly file: string; readonly offset: number }
  /** Packed inside this file; the same file has the same there. */
  | { readonly type: 'packed'; readonly file: string };

/** A piece that both disks have from different places. */
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
  /** In order, those that touch joined. */
  ranges: Range[];
  /** How many ranges are left out behind them. */
  more: number;
}

const blockBytes = 65536;
/** Read at once: whole blocks. */
const readBytes = 16 * blockBytes;
/** Some 200 bytes for each extent: more than a disk of 1 TiB has, written in pieces of a megabyte. */
const mostMapBytes = 256 * 2 ** 20;

/**
 * The pieces of two disks that have to be compared, in order. Beyond its end a disk is zeros. Pure.
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
 * How two qcow2 disks differ, in blocks of 64 KiB. What is packed in an image counts as changed where the other disk does not have it
 * from there too: it is not unpacked for it.
 * @param mostRanges how many are named @throws not_found, corrupt, missing_program, timeout
 */
export async function compareDisks(one: string, other: string, mostRanges: number, signal: AbortSignal): Promise<Difference> {
  const [left, right] = [await extentsOf(one, signal), await extentsOf(other, signal)];
  const difference: Difference = { changedBytes: 0, ranges: [], more: 0 };
  const end = Math.max(endOf(left), endOf(right));
  let last: Range | undefined;
  // Whole blocks: how fine a hole can be in a file differs between the host's file systems.
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
    // Up to where a block ends, so that the blocks do not depend on how the extents lie.
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

/** Files that are read from, opened once each. */
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

/** Where the bytes of a qcow2 disk are, those of the files below it as well. */
async function extentsOf(file: string, signal: AbortSignal): Promise<Extent[]> {
  // First, because it says by name which file is missing.
  const chain = [file];
  for (let at = (await backingFile(file)).backing; at !== null; at = await belowOf(at)) chain.push(at);
  // -U: a file below may be open for a guest, which reads it as we do.
  const text = await qemuImg(['map', '-U', '-f', 'qcow2', '--output=json', '--', file], `read the map of the disk ${file}`, {
    timeoutMs: long,
    signal,
    keepBytes: mostMapBytes,
  });
  if (!text.trimEnd().endsWith(']') || !text.startsWith('['))
    throw new VivError('unsupported', `The disk ${file} lies in too many pieces to be compared with another one.`);
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

/** Null also for what is no qcow2: nothing can be below it. */
const belowOf = (file: string): Promise<string | null> =>
  backingFile(file).then(
    ({ backing }) => backing,
    (error: unknown) => {
      if (error instanceof VivError && error.code === 'corrupt') return null;
      throw error;
    },
  );
