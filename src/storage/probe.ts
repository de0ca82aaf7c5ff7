// The format of a file, by its first bytes. QEMU never probes formats: a guest that writes a qcow2 header to its raw disk could otherwise
// make the host read any file as a backing file.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';

export type DiskFormat = 'qcow2' | 'raw' | 'iso';
export type Compression = 'gzip' | 'xz' | 'zstd' | 'bzip2';

export type Probe =
  | { readonly kind: 'qcow2'; readonly virtualBytes: number }
  | { readonly kind: 'iso'; readonly sizeBytes: number }
  | { readonly kind: 'raw'; readonly sizeBytes: number /** It has a partition table or boot signature. */; readonly bootable: boolean }
  | { readonly kind: 'compressed'; readonly with: Compression }
  /** An archive that contains disks. */
  | { readonly kind: 'archive'; readonly format: string }
  | { readonly kind: 'foreign'; readonly format: string /** qemu-img's name of the format. */; readonly qemuName: string }
  | { readonly kind: 'unknown'; readonly sizeBytes: number };

/** Larger sizes in a header are considered damage: 64 TiB. */
const largestDisk = 64 * 1024 ** 4;

/**
 * Probes a regular file. A qcow2 must not refer to other files.
 * @throws not_found; invalid for a device, a pipe or a folder; corrupt for a qcow2 that refers to other files or is truncated
 */
export async function probeFile(file: string): Promise<Probe> {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
      throw new VivError('not_found', `there is no file ${file} on this host`, { cause });
    throw new VivError('invalid', `cannot read ${file}: ${cause.code}`, { cause });
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new VivError('invalid', `${file} is not a regular file; give the path of a disk image or ISO file`);
    return await probeHandle(handle, stat.size, file);
  } finally {
    await handle.close();
  }
}

async function probeHandle(handle: FileHandle, size: number, file: string): Promise<Probe> {
  const head = await readAt(handle, 0, 4096);
  const starts = (bytes: string) => head.subarray(0, bytes.length).equals(Buffer.from(bytes, 'latin1'));
  if (starts('QFI\xfb')) return probeQcow2(head, size, file);
  if (starts('\x1f\x8b')) return { kind: 'compressed', with: 'gzip' };
  if (starts('\xfd7zXZ\0')) return { kind: 'compressed', with: 'xz' };
  if (starts('\x28\xb5\x2f\xfd')) return { kind: 'compressed', with: 'zstd' };
  if (starts('BZh')) return { kind: 'compressed', with: 'bzip2' };
  if (starts('KDMV') || starts('# Disk DescriptorFile') || starts('COWD'))
    return { kind: 'foreign', format: 'VMDK (VMware)', qemuName: 'vmdk' };
  if (starts('vhdxfile')) return { kind: 'foreign', format: 'VHDX (Hyper-V)', qemuName: 'vhdx' };
  if (starts('conectix')) return { kind: 'foreign', format: 'VHD', qemuName: 'vpc' };
  if (head.length >= 68 && head.readUInt32LE(64) === 0xbeda107f) return { kind: 'foreign', format: 'VDI (VirtualBox)', qemuName: 'vdi' };
  // A hybrid ISO has a boot sector as well, so the ISO's signature is checked first.
  if ((await readAt(handle, 32769, 5)).equals(Buffer.from('CD001'))) return { kind: 'iso', sizeBytes: size };
  if (size > 512 && (await readAt(handle, size - 512, 8)).equals(Buffer.from('conectix')))
    return { kind: 'foreign', format: 'VHD', qemuName: 'vpc' };
  if (
    head.length >= 263 &&
    head.subarray(257, 262).equals(Buffer.from('ustar')) &&
    /\.ovf\0/i.test(head.subarray(0, 100).toString('latin1'))
  )
    return { kind: 'archive', format: 'an OVA appliance' };
  const mbr = head.length >= 512 && head.readUInt16LE(510) === 0xaa55;
  const gpt = head.length >= 520 && head.subarray(512, 520).equals(Buffer.from('EFI PART'));
  if (size > 0 && size % 512 === 0) return { kind: 'raw', sizeBytes: size, bootable: mbr || gpt };
  return { kind: 'unknown', sizeBytes: size };
}

/** Field offsets: QEMU, docs/interop/qcow2.rst. */
function probeQcow2(head: Buffer, size: number, file: string): Probe {
  const bad = (why: string) => new VivError('corrupt', `${file} is not a usable qcow2 image: ${why}`);
  if (head.length < 104) throw bad('its header is cut off');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw bad(`its version is ${version}, and 2 and 3 are known`);
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) {
    throw bad('it needs a backing file, and an image must be independent; write one that does with `qemu-img convert -O qcow2`');
  }
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw bad('its cluster size is out of bounds');
  const virtualBytes = Number(head.readBigUInt64BE(24));
  if (virtualBytes === 0) throw bad('its disk has no bytes');
  if (virtualBytes > largestDisk) throw bad(`its disk would have ${virtualBytes} bytes, and at most ${largestDisk} are supported`);
  if (head.readUInt32BE(32) !== 0) throw bad('it is encrypted, which is not supported; decrypt it with `qemu-img convert` first');
  if (version === 3) {
    const incompatible = head.readBigUInt64BE(72);
    if (incompatible & 4n)
      throw bad(
        'it keeps its data in another file, and an image must be independent; write one that does with `qemu-img convert -O qcow2`',
      );
    if (incompatible & 2n) throw bad('it is marked corrupt; mend it with `qemu-img check -r all`');
    // Bits: 0 dirty, 3 compression type, 4 extended L2.
    if (incompatible & ~0b11001n) throw bad('it uses features that are not known here');
  }
  const tables = [head.readBigUInt64BE(40), head.readBigUInt64BE(48)];
  if (tables.some((offset) => offset >= BigInt(size))) throw bad(`it is cut off: it has ${size} bytes and its tables lie beyond`);
  return { kind: 'qcow2', virtualBytes };
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/**
 * The format of a file that is imported as an image.
 * @param asked the format that the user named: `raw` is accepted for everything that has no other signature
 * @throws corrupt, with how to convert the file
 */
export function usableFormat(probe: Probe, file: string, asked?: DiskFormat): DiskFormat {
  switch (probe.kind) {
    case 'compressed': {
      const program = { gzip: 'gunzip', xz: 'unxz', zstd: 'unzstd', bzip2: 'bunzip2' }[probe.with];
      throw new VivError('corrupt', `${file} is compressed with ${probe.with}; unpack it with: ${program}`);
    }
    case 'foreign':
      throw new VivError(
        'corrupt',
        `${file} is a ${probe.format} disk; turn it into qcow2 with \`qemu-img convert -f ${probe.qemuName} -O qcow2 FROM TO\` and give the result.`,
      );
    case 'archive':
      throw new VivError(
        'corrupt',
        `${file} is ${probe.format}, which holds a disk among other files. Unpack it with tar -xf, and convert the .vmdk in it with qemu-img convert -f vmdk -O qcow2.`,
      );
    case 'unknown':
      if (asked === 'raw' && probe.sizeBytes > 0) return 'raw';
      throw new VivError(
        'corrupt',
        `${file} is neither qcow2, nor an ISO, nor a raw disk (${probe.sizeBytes} bytes, which is not a whole number of 512-byte sectors). Use --format raw to take it as a raw disk, rounded up to whole sectors.`,
      );
    case 'raw':
      if (asked === 'qcow2' || asked === 'iso')
        throw new VivError('corrupt', `${file} is not ${asked === 'iso' ? 'an ISO' : 'a qcow2'} file: it has another signature`);
      if (!probe.bootable && asked !== 'raw') {
        throw new VivError(
          'corrupt',
          `${file} has no partition table or boot sector, so it may not be a disk. If it is one, use --format raw`,
        );
      }
      return 'raw';
    case 'iso':
    case 'qcow2':
      // An ISO may be used as a disk (hybrid images); a qcow2 used as raw would expose its header to the guest.
      if (asked !== undefined && asked !== probe.kind && !(asked === 'raw' && probe.kind === 'iso' && probe.sizeBytes % 512 === 0)) {
        throw new VivError('corrupt', `${file} is ${probe.kind === 'iso' ? 'an ISO' : 'a qcow2'} file, not ${asked}`);
      }
      return asked ?? probe.kind;
  }
}
