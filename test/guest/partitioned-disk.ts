// Raw disk images with partitions and file systems in them, made without root and without mounting anything: tables by hand, FAT by
// mtools, ext by mke2fs and debugfs, which all work inside a file at an offset.
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const sector = 512;
const MiB = 2 ** 20;

export interface Partition {
  /** As Linux counts them. */
  readonly number: number;
  readonly startBytes: number;
  readonly bytes: number;
}

/** A protective MBR, and the first of the two tables, which is the one that is looked at. */
export async function writeGpt(file: string, diskBytes: number, partitions: readonly Partition[]): Promise<void> {
  const entries = Buffer.alloc(128 * 128);
  const linux = '0fc63daf84834772' + '8e793d69d8477de4';
  for (const { number, startBytes, bytes } of partitions) {
    const entry = entries.subarray((number - 1) * 128, number * 128);
    guid(linux).copy(entry, 0);
    guid(`${'0'.repeat(31)}${number}`).copy(entry, 16);
    entry.writeBigUInt64LE(BigInt(startBytes / sector), 32);
    entry.writeBigUInt64LE(BigInt((startBytes + bytes) / sector - 1), 40);
  }
  const last = diskBytes / sector - 1;
  const header = Buffer.alloc(92);
  header.write('EFI PART', 0, 'latin1');
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(header.length, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(BigInt(last), 32);
  header.writeBigUInt64LE(34n, 40);
  header.writeBigUInt64LE(BigInt(last - 33), 48);
  guid('f'.repeat(32)).copy(header, 56);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(crc32(header), 16);
  await writeInto(file, diskBytes, [
    [table([{ type: 0xee, start: 1, sectors: last }]), 0],
    [header, sector],
    [entries, 2 * sector],
  ]);
}

/** Partitions 1 to 3 are primary; the one with the number 5 is a logical one, inside an extended one. */
export async function writeMbr(file: string, diskBytes: number, partitions: readonly Partition[]): Promise<void> {
  const sectors = (bytes: number) => bytes / sector;
  const primary = partitions.filter(({ number }) => number < 4);
  const logical = partitions.find(({ number }) => number === 5);
  const entries = primary.map(({ startBytes, bytes }) => ({ type: 0x83, start: sectors(startBytes), sectors: sectors(bytes) }));
  const pieces: [Buffer, number][] = [];
  if (logical) {
    const begin = logical.startBytes - MiB;
    entries.push({ type: 0x0f, start: sectors(begin), sectors: sectors(logical.bytes + MiB) });
    pieces.push([table([{ type: 0x83, start: sectors(MiB), sectors: sectors(logical.bytes) }]), begin]);
  }
  await writeInto(file, diskBytes, [[table(entries), 0], ...pieces]);
}

function table(entries: readonly { type: number; start: number; sectors: number }[]): Buffer {
  const bytes = Buffer.alloc(sector);
  entries.forEach(({ type, start, sectors }, nth) => {
    bytes[446 + 16 * nth + 4] = type;
    bytes.writeUInt32LE(start, 446 + 16 * nth + 8);
    bytes.writeUInt32LE(sectors, 446 + 16 * nth + 12);
  });
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

/** Its first three fields are little endian. */
function guid(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

async function writeInto(file: string, diskBytes: number, pieces: readonly (readonly [Buffer, number])[]): Promise<void> {
  await using handle = await open(file, 'a+');
  await handle.truncate(diskBytes);
  await using writer = await open(file, 'r+');
  for (const [bytes, at] of pieces) await writer.write(bytes, 0, bytes.length, at);
}

const env = { ...process.env, MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: '1700000000' };
const run = (program: string, ...args: string[]) => execFileSync(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });

export async function makeFat(file: string, { startBytes, bytes }: Partition): Promise<void> {
  run('mformat', '-i', `${file}@@${startBytes}`, '-T', String(bytes / sector), '-h', '16', '-s', '32', '::');
  // mformat leaves a partition table in the boot sector, with the whole as the first: Linux would believe it.
  await using handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(64), 0, 64, startBytes + 446);
}

export const copyToFat = (file: string, { startBytes }: Partition, from: string, to: string) =>
  run('mcopy', '-o', '-m', '-i', `${file}@@${startBytes}`, from, `::${to}`);

export const removeFromFat = (file: string, { startBytes }: Partition, path: string) =>
  run('mdel', '-i', `${file}@@${startBytes}`, `::${path}`);

export function makeExt4(file: string, { startBytes, bytes }: Partition, folder: string): void {
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', folder, '-E', `offset=${startBytes}`, file, `${bytes / 1024}k`);
}

/** @param requests such as `rm /a`, `write FROM b` */
export function changeExt4(file: string, { startBytes }: Partition, requests: readonly string[]): void {
  for (const request of requests) run('debugfs', '-w', '-R', request, `${file}?offset=${startBytes}`);
}

/** mkfs has no offset: made in a file of its own, and put into its place. */
function makeAside(file: string, { startBytes, bytes }: Partition, program: string, ...args: string[]): void {
  const aside = `${file}.aside`;
  run('truncate', '-s', String(bytes), aside);
  run(program, ...args, aside);
  run('dd', `if=${aside}`, `of=${file}`, 'bs=1M', `seek=${startBytes / MiB}`, 'conv=notrunc,sparse', 'status=none');
  run('rm', aside);
}

export const makeXfs = (file: string, partition: Partition) => makeAside(file, partition, 'mkfs.xfs', '-q');
export const makeBtrfs = (file: string, partition: Partition) => makeAside(file, partition, 'mkfs.btrfs', '-q');
