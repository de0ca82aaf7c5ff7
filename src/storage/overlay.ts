// Creates an empty qcow2 by writing its bytes: a fork creates one for every disk of every child, and running qemu-img for each would
// take longer than the rest of the fork. Cluster 0 is the header, 1 the refcount table, 2 its only block, then L1.
import { open, rename, rm } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { VivError } from '../contract/errors.ts';

const cluster = 65536;
const sector = 512;
/** One L1 entry leads to one L2 table of a cluster, that is 8192 clusters. */
const bytesPerL1Entry = (cluster / 8) * cluster;
/** QEMU refuses an L1 table above 32 MiB (QCOW_MAX_L1_SIZE): 2 PiB with these clusters. */
const mostBytes = (32 * 2 ** 20 * bytesPerL1Entry) / 8;

export interface OverlayOptions {
  /** Absolute path; null: an independent empty disk. */
  readonly backing: string | null;
  readonly backingFormat: 'qcow2' | 'raw';
  /** The size that the guest sees; rounded up to whole sectors. */
  readonly sizeBytes: number;
}

/**
 * Writes an empty qcow2 (version 3, no feature bits) to `file`, atomically; replaces an existing file. The backing file is not opened.
 * Format: docs/interop/qcow2.rst in QEMU's source.
 * @throws invalid (name too long, size out of range), no_space
 */
export async function writeOverlay(file: string, options: OverlayOptions): Promise<void> {
  const { header, refcounts, lengthBytes } = layout(options);
  const part = `${file}.part`;
  try {
    await rm(part, { force: true });
    const handle = await open(part, 'wx', 0o600);
    try {
      await handle.write(header, 0, header.length, 0);
      await handle.write(pointer(2 * cluster), 0, 8, cluster);
      await handle.write(refcounts, 0, refcounts.length, 2 * cluster);
      await handle.truncate(lengthBytes); // the rest, including L1, is zeros
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new VivError('no_space', `cannot create the disk ${file}: the host’s disk is full. Free some space and try again`, {
        cause: error,
      });
    }
    throw error;
  }
}

function layout({ backing, backingFormat, sizeBytes }: OverlayOptions): { header: Buffer; refcounts: Buffer; lengthBytes: number } {
  const size = Math.ceil(sizeBytes / sector) * sector;
  if (!(size >= 0 && size <= mostBytes)) {
    throw new VivError('invalid', `a disk cannot have ${sizeBytes} bytes; the maximum is ${mostBytes}`);
  }
  const name = Buffer.from(backing ?? '');
  if (backing !== null && !isAbsolute(backing)) {
    throw new VivError('internal', `the backing file ${JSON.stringify(backing)} has no absolute path`);
  }
  if (name.length > 1023) {
    throw new VivError(
      'invalid',
      `the path of the backing file has ${name.length} bytes, and qcow2 allows 1023; move it to a shorter path`,
    );
  }
  const l1Entries = Math.ceil(size / bytesPerL1Entry);
  const clusters = 3 + Math.max(1, Math.ceil((l1Entries * 8) / cluster)); // at most 515, and one refcount block counts 32768
  const header = Buffer.alloc(104 + 8 + 8 + 8 + name.length);
  header.writeUInt32BE(0x514649fb, 0); // "QFI\xfb"
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(16, 20); // cluster bits
  header.writeBigUInt64BE(BigInt(size), 24);
  header.writeUInt32BE(l1Entries, 36);
  header.writeBigUInt64BE(BigInt(3 * cluster), 40);
  header.writeBigUInt64BE(BigInt(cluster), 48); // refcount table
  header.writeUInt32BE(1, 56); // ... of one cluster
  header.writeUInt32BE(4, 96); // refcounts of 2^4 bits
  header.writeUInt32BE(104, 100); // header length; an end extension (zeros) follows
  if (backing !== null) {
    header.writeUInt32BE(0xe2792aca, 104); // backing format
    header.writeUInt32BE(backingFormat.length, 108);
    header.write(backingFormat, 112);
    header.writeBigUInt64BE(128n, 8);
    header.writeUInt32BE(name.length, 16);
    name.copy(header, 128);
  }
  const refcounts = Buffer.alloc(clusters * 2);
  for (let index = 0; index < clusters; index++) refcounts.writeUInt16BE(1, index * 2);
  return { header, refcounts, lengthBytes: clusters * cluster };
}

function pointer(offset: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(offset));
  return bytes;
}
