// Checksums of a large sparse file, one for each MiB: CRC-32, which detects every flipped bit and all but one in 4 billion other changes, at
// 4 GB/s. It does not detect deliberate changes. Holes count as zeros and are not read.
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { dataRuns, type Run } from '../host/file/sparse-file.ts';

const readAt = promisify(read);

export const blockBytes = 2 ** 20;
/** Runs of data with smaller gaps are read at once. */
const joinBytes = 128 * 1024;
const zeros = Buffer.alloc(blockBytes);
const zeroChecksum = crc32(zeros);
const magic = 'vivsums1';
const headBytes = 24;

export interface Checksums {
  /** Length of the file. */
  readonly bytes: number;
  readonly blocks: readonly number[];
}

/** Computes the checksums of data that is added in order; gaps count as zeros. */
export class BlockChecksums {
  readonly #blocks: number[] = [];
  #checksum = 0;
  /** The end of the data that was added. */
  #at = 0;

  /** @param at offset in the file; not before the end of the data added last */
  add(bytes: Buffer, at: number): void {
    this.#zerosUntil(at);
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + blockBytes - (this.#at % blockBytes));
      this.#take(bytes.subarray(from, to));
      from = to;
    }
  }

  end(bytes: number): Checksums {
    this.#zerosUntil(bytes);
    return { bytes, blocks: this.#at % blockBytes === 0 ? this.#blocks : [...this.#blocks, this.#checksum] };
  }

  #zerosUntil(end: number): void {
    while (this.#at < end) {
      const length = Math.min(end - this.#at, blockBytes - (this.#at % blockBytes));
      if (length < blockBytes) this.#take(zeros.subarray(0, length));
      else {
        this.#blocks.push(zeroChecksum);
        this.#at += blockBytes;
      }
    }
  }

  #take(part: Buffer): void {
    this.#checksum = crc32(part, this.#checksum);
    this.#at += part.length;
    if (this.#at % blockBytes > 0) return;
    this.#blocks.push(this.#checksum);
    this.#checksum = 0;
  }
}

/**
 * Reads the file and computes its checksums.
 * @param bytes its length
 * @param paced called with the bytes read since the last call; awaited before reading continues
 */
export async function checksumFile(fd: number, bytes: number, paced: (bytes: number) => Promise<void>): Promise<Checksums> {
  const checksums = new BlockChecksums();
  const buffer = Buffer.allocUnsafe(blockBytes);
  for (const { from, to } of joined(dataRuns(fd, bytes))) {
    for (let at = from; at < to; ) {
      const { bytesRead } = await readAt(fd, buffer, 0, Math.min(blockBytes, to - at), at);
      if (bytesRead === 0) break; // truncated meanwhile: the rest counts as zeros
      checksums.add(buffer.subarray(0, bytesRead), at);
      at += bytesRead;
      await paced(bytesRead);
    }
  }
  return checksums.end(bytes);
}

function* joined(runs: Iterable<Run>): Generator<Run> {
  let open: Run | undefined;
  for (const run of runs) {
    if (open && run.from - open.to > joinBytes) {
      yield open;
      open = undefined;
    }
    open = { from: open?.from ?? run.from, to: run.to };
  }
  if (open) yield open;
}

/** Offset of the first block that differs; null: none does. */
export function firstDifference(one: Checksums, other: Checksums): number | null {
  const most = Math.max(one.blocks.length, other.blocks.length);
  for (let nth = 0; nth < most; nth++) if (one.blocks[nth] !== other.blocks[nth]) return nth * blockBytes;
  return null;
}

/** The file format: header, one word for each block, and a checksum of both, so that damaged checksums are not mistaken for a damaged file. */
export function encodeChecksums({ bytes, blocks }: Checksums): Buffer {
  const kept = Buffer.alloc(headBytes + 4 * blocks.length + 4);
  kept.write(magic, 0, 'latin1');
  kept.writeUInt32LE(blockBytes, 8);
  kept.writeBigUInt64LE(BigInt(bytes), 16);
  blocks.forEach((checksum, nth) => void kept.writeUInt32LE(checksum, headBytes + 4 * nth));
  kept.writeUInt32LE(crc32(kept.subarray(0, -4)), kept.length - 4);
  return kept;
}

/** Null: the checksums are damaged, or of another format. */
export function decodeChecksums(kept: Buffer): Checksums | null {
  if (kept.length < headBytes + 4 || kept.toString('latin1', 0, 8) !== magic || kept.readUInt32LE(8) !== blockBytes) return null;
  if (kept.readUInt32LE(kept.length - 4) !== crc32(kept.subarray(0, -4))) return null;
  const bytes = Number(kept.readBigUInt64LE(16));
  const blocks = Array.from({ length: (kept.length - headBytes - 4) >>> 2 }, (_, nth) => kept.readUInt32LE(headBytes + 4 * nth));
  return { bytes, blocks };
}
