// Whether a disk file is complete. The missing end of a truncated copy or download would read as zeros; only the file's own tables show it.
import { type FileHandle, open } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';

const sector = 512;
const offsetBits = 0x00ff_ffff_ffff_fe00n;

/** @throws corrupt where the file ends before the data that its tables refer to */
export async function checkComplete(file: string, format: 'qcow2' | 'raw' | 'iso'): Promise<void> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const needed = await { qcow2: qcow2Needs, raw: rawNeeds, iso: isoNeeds }[format](handle, size);
    if (needed > size)
      throw new VivError(
        'corrupt',
        `${file} is cut off: it has ${size} bytes, and its tables refer to ${needed}. Download or copy it again`,
      );
  } finally {
    await handle.close();
  }
}

/** The end of the last cluster in use. Fields: QEMU, docs/interop/qcow2.rst. */
async function qcow2Needs(handle: FileHandle, size: number): Promise<number> {
  const header = await read(handle, 0, 104);
  const clusterBits = header.readUInt32BE(20);
  const cluster = 2 ** clusterBits;
  const virtualBytes = Number(header.readBigUInt64BE(24));
  const l1Entries = header.readUInt32BE(36);
  const l1Offset = Number(header.readBigUInt64BE(40));
  const version = header.readUInt32BE(4);
  const entryBytes = version === 3 && (header.readBigUInt64BE(72) & 16n) !== 0n ? 16 : 8; // extended L2 entries
  const perTable = cluster / entryBytes;
  const tables = Math.min(l1Entries, Math.ceil(virtualBytes / (perTable * cluster)));
  let needed = l1Offset + tables * 8;
  for (let table = 0; table < tables && needed <= size; table += 8192) {
    const l1 = await read(handle, l1Offset + table * 8, Math.min(8192, tables - table) * 8);
    for (let at = 0; at + 8 <= l1.length && needed <= size; at += 8) {
      const l2Offset = Number(l1.readBigUInt64BE(at) & offsetBits);
      if (l2Offset === 0) continue;
      needed = Math.max(needed, l2Offset + cluster);
      if (needed > size) break;
      const l2 = await read(handle, l2Offset, cluster);
      const firstGuestByte = (table + at / 8) * perTable * cluster;
      for (let index = 0; index < perTable; index++) {
        const entry = l2.readBigUInt64BE(index * entryBytes);
        const allocated = entryBytes === 16 ? 32 - Math.clz32(l2.readUInt32BE(index * entryBytes + 12)) : 32;
        const left = Math.min(virtualBytes - firstGuestByte - index * cluster, (cluster / 32) * allocated);
        needed = Math.max(needed, clusterEnd(entry, clusterBits, left));
      }
    }
  }
  return needed;
}

/** The end of the data that an L2 entry refers to; 0: none. @param left how much of the cluster is within the disk's size, in bytes */
function clusterEnd(entry: bigint, clusterBits: number, left: number): number {
  if ((entry & (1n << 62n)) !== 0n) {
    const bits = BigInt(62 - (clusterBits - 8));
    const offset = Number(entry & ((1n << bits) - 1n));
    const further = Number((entry & ((1n << 62n) - 1n)) >> bits);
    // The last sector may be incomplete.
    return (Math.floor(offset / sector) + further) * sector + (further === 0 ? (offset % sector) + 1 : 1);
  }
  const offset = Number(entry & offsetBits);
  if (offset === 0 || left <= 0) return 0;
  return offset + Math.min(2 ** clusterBits, left);
}

/** The end of the backup GPT, or of the last MBR partition; 0: it has neither. UEFI 2.10, 5.3.2; MBR entries at 446. */
async function rawNeeds(handle: FileHandle, size: number): Promise<number> {
  const head = await read(handle, 0, Math.min(size, 2 * sector));
  if (head.length === 2 * sector && head.subarray(sector, sector + 8).equals(Buffer.from('EFI PART')))
    return (Number(head.readBigUInt64LE(sector + 32)) + 1) * sector;
  if (head.length < sector || head.readUInt16LE(510) !== 0xaa55) return 0;
  let needed = 0;
  for (let at = 446; at < 510; at += 16) {
    const [status, type, first, count] = [
      head.readUInt8(at),
      head.readUInt8(at + 4),
      head.readUInt32LE(at + 8),
      head.readUInt32LE(at + 12),
    ];
    if ((status & 0x7f) !== 0) return 0; // the boot code of a file system, not a partition table
    if (type !== 0 && type !== 0xee) needed = Math.max(needed, (first + count) * sector);
  }
  return needed;
}

/** The size of the volume, in the primary volume descriptor (ECMA-119, 8.4.8). */
async function isoNeeds(handle: FileHandle): Promise<number> {
  const descriptor = await read(handle, 32_768, 132);
  const blocks = descriptor.readUInt32LE(80); // this and the next field are stored in both byte orders
  return blocks === descriptor.readUInt32BE(84) ? blocks * descriptor.readUInt16LE(128) : 0;
}

async function read(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return bytesRead === length ? buffer : buffer.subarray(0, Math.max(bytesRead, 0));
}
