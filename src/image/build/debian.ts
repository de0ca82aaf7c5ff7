// The recipe of `debian:12` and `debian:13`: mmdebstrap installs packages into a tree, which becomes the root of a partitioned
// disk with GRUB for BIOS. Needs no loop device and no mount: file system, partition table and boot loader are written into
// a file. Runs as root, or as an ordinary user where user namespaces and newuidmap (package uidmap) are there.
import { chmod, mkdir, mkdtemp, open, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import type { Arch } from '../../contract/field.ts';
import { GiB, MiB } from '../../contract/field.ts';
import { agentFile, guestFile } from '../../host/guest-asset.ts';
import { ProgramFailed, ProgramMissing, runOk, runProgram } from '../../host/process/run.ts';
import { removeStaged } from '../staging.ts';
import { debianArch, hostFetchSettings, proxies, requireKeyring, sourceLines } from './apt.ts';
import { debianFiles, includedPackages, maskedUnits, rootLabel } from './debian-files.ts';
import { makeExt4FromTar } from './ext4-tar.ts';
import { gpt, type Partition, partitionTypes, sector } from './gpt.ts';
import { findMirror, type Mirror } from './mirror.ts';
import { putFile } from './root-tree.ts';
import type { BuildContext, BuildImage, BuiltImage } from './types.ts';
import { asOwnRoot, namespaceFacts, whyNoNamespace } from './user-namespace.ts';

const kernels: Partial<Record<Arch, string>> = { x86_64: 'linux-image-cloud-amd64' };
const diskBytes = 4 * GiB;

/** @param suite code name of the release, such as bookworm. */
export function buildDebian(suite: 'bookworm' | 'trixie'): BuildImage {
  return async (context) => {
    const kernel = kernels[context.arch];
    if (!kernel)
      throw new VivError('unsupported', `Debian cannot be built for ${context.arch} yet; it can for ${Object.keys(kernels).join(', ')}`);
    const agent = await agentFile(context.arch);
    const mirror = await findMirror(context.mirror);
    const folder = await mkdtemp(join(context.staging, '.debian-'));
    try {
      context.progress({ message: `installing Debian ${suite} from ${mirror.main}`, done: 0, total: 3, unit: 'steps' });
      const tree = await layOut(folder, agent);
      const tar = join(folder, 'root.tar');
      await debootstrap({ suite, mirror, kernel, tree, tar, folder, context });
      context.progress({ message: 'making the disk', done: 1, total: 3, unit: 'steps' });
      const raw = join(folder, 'disk.raw');
      await makeDisk(folder, tar, raw, context.signal);
      context.progress({ message: 'packing', done: 2, total: 3, unit: 'steps' });
      await runOk(
        'qemu-img',
        ['convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', raw, join(context.staging, 'disk.qcow2')],
        { timeoutMs: 600_000, signal: context.signal, endsWithUs: true },
      );
      return built(context, `built from Debian ${suite} of ${mirror.main}`);
    } finally {
      await removeStaged(folder);
    }
  };
}

const built = (context: BuildContext, source: string): BuiltImage => ({
  kind: 'disk',
  arch: context.arch,
  virtualBytes: diskBytes,
  minMemoryBytes: null, // not measured
  firmware: 'bios',
  ready: ['agent', 'network', 'disk'],
  source,
  disk: 'disk.qcow2',
  iso: null,
  kernel: null,
  defaults: { memoryBytes: 1 * GiB, firmware: 'bios', cloudInit: true },
});

/** Our files and the agent as a tree that is copied into the root. */
async function layOut(folder: string, agent: string): Promise<string> {
  const tree = join(folder, 'tree');
  for (const file of debianFiles) {
    await putFile(join(tree, file.path), file.content);
  }
  await putFile(join(tree, 'usr/local/sbin/vivarium-agent'), await readFile(agent), 0o755);
  await putFile(join(tree, 'etc/systemd/system/vivarium-agent.service'), await readFile(await guestFile('vivarium-agent.service')));
  return tree;
}

interface Debootstrap {
  readonly suite: string;
  readonly mirror: Mirror;
  readonly kernel: string;
  readonly tree: string;
  readonly tar: string;
  /** Where it may work. */
  readonly folder: string;
  readonly context: BuildContext;
}

async function debootstrap({ suite, mirror, kernel, tree, tar, folder, context }: Debootstrap): Promise<void> {
  const keyring = await requireKeyring();
  const fetching = await hostFetchSettings(context.signal);
  const within = await enclosure(folder, context.signal);
  const args = [
    `--mode=${within.mode}`,
    '--variant=minbase',
    '--format=tar',
    `--architectures=${debianArch[context.arch]}`,
    `--keyring=${keyring}`,
    `--include=${[...includedPackages, kernel].join(',')}`,
    ...fetching.map((line) => `--aptopt=${line}`),
    // Settings that package scripts read come before the packages.
    '--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/cloud/cloud.cfg.d" "$1/etc/default"',
    `--essential-hook=upload ${join(tree, 'etc/initramfs-tools/conf.d/vivarium')} /etc/initramfs-tools/conf.d/vivarium`,
    `--customize-hook=sync-in ${tree} /`,
    ...finishing.map((command) => `--customize-hook=${command}`),
    suite,
    tar,
    ...sourceLines(mirror, suite),
  ];
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    HOME: process.env['HOME'] ?? '/',
    TMPDIR: within.work,
    ...proxies(process.env),
  };
  try {
    const [program, ...given] = [...within.words, 'mmdebstrap', ...args] as [string, ...string[]];
    await runOk(program, given, {
      ...{ timeoutMs: 3_600_000, signal: context.signal, endsWithUs: true, env },
      onLine: (line) => context.log(line),
    });
  } catch (cause) {
    if (cause instanceof ProgramMissing)
      throw new VivError('missing_program', 'mmdebstrap is not installed; install it with: apt-get install mmdebstrap', { cause });
    if (cause instanceof ProgramFailed) throw await explain(cause, suite, mirror);
    throw cause;
  }
}

interface Enclosure {
  /** Put before a program that starts many and mounts: all of it ends with the program, however that ends. */
  readonly words: readonly string[];
  readonly mode: 'root' | 'unshare';
  /** Where the tree comes to be. */
  readonly work: string;
}

const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** The first argument is seen at /var/tmp: below an ordinary user's home apt's own user could not reach it. */
const seenAtVarTmp = ['sh', '-c', 'mount --bind -- "$1" /var/tmp && shift && exec "$@"', 'sh'];

/**
 * The tree is in the task's folder, so that it goes with that; only where mounts are in a namespace of their own, or removing the folder
 * would remove what is mounted. Where there can be no such namespace (not in every container, not with an unshare older than 2.38 as an
 * ordinary user) mmdebstrap makes its own, if it needs one, and what it starts ends by itself.
 */
async function enclosure(folder: string, signal: AbortSignal): Promise<Enclosure> {
  const isRoot = process.getuid?.() === 0;
  const work = join(folder, 'work');
  await mkdir(work);
  const words = isRoot ? ['unshare', ...namespaces] : [...asOwnRoot, ...namespaces, ...seenAtVarTmp, work];
  const [program = '', ...args] = [...words, 'true'];
  const tried = await runProgram(program, args, { timeoutMs: 10_000, signal });
  if (tried.exitCode !== 0) return { words: [], mode: isRoot ? 'root' : 'unshare', work: '/var/tmp' };
  // apt's own user has to pass through.
  if (isRoot) for (const path of [dirname(dirname(folder)), dirname(folder), folder]) await chmod(path, 0o711);
  return { words, mode: 'root', work: isRoot ? work : '/var/tmp' };
}

/** Run outside the root, whose path is $1, after all packages are in. */
const finishing = [
  'chmod 755 "$1/usr/local/sbin/vivarium-agent"',
  'chroot "$1" update-initramfs -u -k all',
  'chroot "$1" systemctl enable vivarium-agent.service systemd-networkd.service systemd-resolved.service ssh.service',
  `chroot "$1" systemctl mask ${maskedUnits.join(' ')}`,
  'mkdir -p "$1/boot/grub/i386-pc" && cp "$1"/usr/lib/grub/i386-pc/*.mod "$1"/usr/lib/grub/i386-pc/*.lst "$1/boot/grub/i386-pc/"',
  // biosdisk to part_gpt: what is needed to reach /boot/grub; the rest spares reading modules one by one through the BIOS.
  'chroot "$1" grub-mkimage -O i386-pc -p /boot/grub -c /boot/grub/first.cfg -o /boot/grub/i386-pc/core.img biosdisk part_gpt ext2 search search_label normal configfile linux serial terminal echo test minicmd gzio',
  'cp "$1/usr/lib/grub/i386-pc/boot.img" "$1/boot/grub/i386-pc/boot.img"',
  // Each VM makes its own.
  'rm -f "$1"/etc/ssh/ssh_host_*_key* "$1/var/lib/dbus/machine-id" "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"',
  'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/log/*.log "$1"/var/log/apt/*',
  ': >"$1/etc/machine-id"',
  'ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"',
];

async function explain(failure: ProgramFailed, suite: string, mirror: Mirror): Promise<VivError> {
  const words = failure.result.stderr
    .split('\n')
    .filter((line) => /^(E:|Err:|W: Failed)/.test(line))
    .slice(0, 3)
    .join(' ')
    .slice(0, 600);
  if (/newuidmap|unshare|subuid|user namespace/i.test(failure.result.stderr) && process.getuid?.() !== 0)
    return new VivError('unsupported', `Debian ${suite} cannot be built as an ordinary user: ${whyNoNamespace(await namespaceFacts())}`, {
      cause: failure,
    });
  return new VivError('download_failed', `Debian ${suite} could not be built from ${mirror.main}: ${words || 'see the task’s log'}`, {
    cause: failure,
  });
}

const align = MiB / sector;

/** Partitions as in Debian's own cloud images: the root is number 1 and the last on the disk, so that it can grow. */
async function makeDisk(folder: string, tar: string, raw: string, signal: AbortSignal): Promise<void> {
  const diskSectors = diskBytes / sector;
  const bios: Partition = { number: 14, type: partitionTypes.biosBoot, name: 'bios', firstSector: align, lastSector: 4 * align - 1 };
  const root: Partition = {
    number: 1,
    type: partitionTypes.linux,
    name: 'root',
    firstSector: 4 * align,
    lastSector: diskSectors - align - 1,
  };
  const rootFile = join(folder, 'root.ext4');
  const { bootCode, core } = await makeExt4FromTar({
    tar,
    folder,
    file: rootFile,
    bytes: (root.lastSector - root.firstSector + 1) * sector,
    label: rootLabel,
    signal,
    pick: { bootCode: 'boot/grub/i386-pc/boot.img', core: 'boot/grub/i386-pc/core.img' },
  });
  const { start, end } = gpt(diskSectors, [root, bios], withStart(bootCode, bootCodeStart, bios.firstSector));
  if (core.length > (bios.lastSector - bios.firstSector + 1) * sector)
    throw new Error(`GRUB's core of ${core.length} bytes is larger than its partition`);
  const disk = await open(raw, 'w');
  try {
    await disk.truncate(diskBytes);
    await disk.write(start, 0, start.length, 0);
    await disk.write(withStart(core, coreStart, bios.firstSector + 1), 0, core.length, bios.firstSector * sector);
    await disk.write(end, 0, end.length, diskBytes - end.length);
  } finally {
    await disk.close();
  }
  await copySparse(rootFile, raw, root.firstSector * sector, signal);
}

/** Where GRUB's first sectors hold the disk address of what they load next (kernel_sector of boot.S, the block list of diskboot.S). */
const bootCodeStart = 0x5c;
const coreStart = 0x1f4;

function withStart(image: Buffer, at: number, start: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(image);
  bytes.writeBigUInt64LE(BigInt(start), at);
  return bytes;
}

/** Puts a file into another at an offset, leaving out what is zero. */
async function copySparse(from: string, to: string, offset: number, signal: AbortSignal): Promise<void> {
  const { size } = await stat(from);
  const chunk = Buffer.alloc(4 * MiB);
  const zero = Buffer.alloc(chunk.length);
  const source = await open(from, 'r');
  const target = await open(to, 'r+');
  try {
    for (let at = 0; at < size; at += chunk.length) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(chunk, 0, chunk.length, at);
      if (chunk.compare(zero, 0, bytesRead, 0, bytesRead) !== 0) await target.write(chunk, 0, bytesRead, offset + at);
    }
  } finally {
    await source.close();
    await target.close();
  }
}
