// A disk with a GUID partition table (UEFI specification 2.10, section 5.3): the bytes of its first and last sectors. Pure.
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';

export const sector = 512;
/** What a table takes at either end of a disk: header and 128 entries (and, at the start, the protective MBR). */
const entrySectors = 32;

export const partitionTypes = {
  linux: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  /** Linux root on x86-64, as the Discoverable Partitions Specification names it. */
  rootX64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  efi: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
} as const;

export interface Partition {
  /** From 1; also its place in the table. */
  readonly number: number;
  readonly type: string;
  readonly name: string;
  readonly firstSector: number;
  readonly lastSector: number;
  readonly uuid?: string;
}

/** @param bootCode first 440 bytes of the disk. @returns what goes to the start of the disk, and what to its end. */
export function gpt(diskSectors: number, partitions: readonly Partition[], bootCode = Buffer.alloc(0)): { start: Buffer; end: Buffer } {
  const diskUuid = randomUUID();
  const entries = Buffer.alloc(entrySectors * sector);
  for (const partition of partitions) {
    const entry = entries.subarray((partition.number - 1) * 128, partition.number * 128);
    guid(partition.type).copy(entry, 0);
    guid(partition.uuid ?? randomUUID()).copy(entry, 16);
    entry.writeBigUInt64LE(BigInt(partition.firstSector), 32);
    entry.writeBigUInt64LE(BigInt(partition.lastSector), 40);
    entry.write(partition.name.slice(0, 36), 56, 'utf16le');
  }
  const last = diskSectors - 1;
  const primary = header({ own: 1, other: last, entriesAt: 2, last, diskUuid, entries });
  const backup = header({ own: last, other: 1, entriesAt: last - entrySectors, last, diskUuid, entries });
  return { start: Buffer.concat([protectiveMbr(diskSectors, bootCode), primary, entries]), end: Buffer.concat([entries, backup]) };
}

function header(at: { own: number; other: number; entriesAt: number; last: number; diskUuid: string; entries: Buffer }): Buffer {
  const bytes = Buffer.alloc(sector);
  bytes.write('EFI PART', 0, 'latin1');
  bytes.writeUInt32LE(0x00010000, 8);
  bytes.writeUInt32LE(92, 12);
  bytes.writeBigUInt64LE(BigInt(at.own), 24);
  bytes.writeBigUInt64LE(BigInt(at.other), 32);
  bytes.writeBigUInt64LE(BigInt(2 + entrySectors), 40);
  bytes.writeBigUInt64LE(BigInt(at.last - entrySectors - 1), 48);
  guid(at.diskUuid).copy(bytes, 56);
  bytes.writeBigUInt64LE(BigInt(at.entriesAt), 72);
  bytes.writeUInt32LE(128, 80);
  bytes.writeUInt32LE(128, 84);
  bytes.writeUInt32LE(crc32(at.entries), 88);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16);
  return bytes;
}

/** Tells programs that know no GPT that the whole disk is taken. */
function protectiveMbr(diskSectors: number, bootCode: Buffer): Buffer {
  const bytes = Buffer.alloc(sector);
  bootCode.copy(bytes, 0, 0, 440);
  bytes.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  bytes.writeUInt32LE(1, 454);
  bytes.writeUInt32LE(Math.min(diskSectors - 1, 0xffffffff), 458);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

/** The first three groups are little-endian on disk. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
