// Checksums of a large sparse file, one for each MiB: CRC-32, which finds every flipped bit and all but one in 4 billion of other changes,
// reads 4 GB/s and is of no use against somebody who changes a file on purpose. Holes are zeros and cost nothing.
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { dataRuns, type Run } from '../host/file/sparse-file.ts';

const readAt = promisify(read);

export const blockBytes = 2 ** 20;
/** Data that lies closer together is read at once. */
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

/** Takes what a file has from its beginning to its end; what is left out is zeros. */
export class BlockChecksums {
  readonly #blocks: number[] = [];
  #checksum = 0;
  /** How much of the file has been taken. */
  #at = 0;

  /** @param at not before the end of what was added last */
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
 * Reads the file's data. @param bytes its length
 * @param paced called with what has been read since the last time; what it answers is waited for
 */
export async function checksumFile(fd: number, bytes: number, paced: (bytes: number) => Promise<void>): Promise<Checksums> {
  const checksums = new BlockChecksums();
  const buffer = Buffer.allocUnsafe(blockBytes);
  for (const { from, to } of joined(dataRuns(fd, bytes))) {
    for (let at = from; at < to; ) {
      const { bytesRead } = await readAt(fd, buffer, 0, Math.min(blockBytes, to - at), at);
      if (bytesRead === 0) break; // cut off meanwhile; it counts as zeros
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

/** Where the first block begins that is not the same; null: all are. */
export function firstDifference(one: Checksums, other: Checksums): number | null {
  const most = Math.max(one.blocks.length, other.blocks.length);
  for (let nth = 0; nth < most; nth++) if (one.blocks[nth] !== other.blocks[nth]) return nth * blockBytes;
  return null;
}

/** As they are kept: head, a word for each block, and a checksum of all that, so that damage of the checksums is not taken for damage of the file. */
export function encodeChecksums({ bytes, blocks }: Checksums): Buffer {
  const kept = Buffer.alloc(headBytes + 4 * blocks.length + 4);
  kept.write(magic, 0, 'latin1');
  kept.writeUInt32LE(blockBytes, 8);
  kept.writeBigUInt64LE(BigInt(bytes), 16);
  blocks.forEach((checksum, nth) => void kept.writeUInt32LE(checksum, headBytes + 4 * nth));
  kept.writeUInt32LE(crc32(kept.subarray(0, -4)), kept.length - 4);
  return kept;
}

/** Null: they are damaged themselves, or of another kind. */
export function decodeChecksums(kept: Buffer): Checksums | null {
  if (kept.length < headBytes + 4 || kept.toString('latin1', 0, 8) !== magic || kept.readUInt32LE(8) !== blockBytes) return null;
  if (kept.readUInt32LE(kept.length - 4) !== crc32(kept.subarray(0, -4))) return null;
  const bytes = Number(kept.readBigUInt64LE(16));
  const blocks = Array.from({ length: (kept.length - headBytes - 4) >>> 2 }, (_, nth) => kept.readUInt32LE(headBytes + 4 * nth));
  return { bytes, blocks };
}
