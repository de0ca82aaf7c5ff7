// The recipe of `tiny`: a Debian kernel, busybox and our agent. Boots a kernel directly; an initramfs of a few modules mounts
// the root disk, which keeps what a user writes. Needs no root: packages are unpacked, not installed.
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import type { Arch } from '../../contract/field.ts';
import { MiB } from '../../contract/field.ts';
import { agentFile } from '../../host/guest-asset.ts';
import { runOk } from '../../host/process/run.ts';
import { applets } from './applet.ts';
import { debianArch, openApt } from './apt.ts';
import { type CpioEntry, cpio } from './cpio.ts';
import { makeExt4 } from './ext4.ts';
import { findMirror } from './mirror.ts';
import { findModules, loadOrder, type Module } from './module.ts';
import { makeFolder, putFile } from './root-tree.ts';
import { bootModules, initramfsInit, lateModules, spareModules, tinyFiles } from './tiny-files.ts';
import type { BuildContext, BuiltImage } from './types.ts';

const suite = 'bookworm';
const diskBytes = 256 * MiB;
/** Measured with: npm run bench -- --only minimumMemory. With less the kernel panics while it unpacks the initrd. */
const minMemoryBytes = 80 * MiB;

/** What differs between architectures. Only those here can be built. */
const targets: Partial<Record<Arch, { kernelPackage: string; console: string }>> = {
  x86_64: { kernelPackage: 'linux-image-cloud-amd64', console: 'ttyS0' },
};

/** The folders of a work in progress. */
interface Work {
  readonly packages: string;
  readonly unpacked: string;
  readonly root: string;
}

export async function buildTiny(context: BuildContext): Promise<BuiltImage> {
  const target = targets[context.arch];
  if (!target)
    throw new VivError('unsupported', `tiny cannot be built for ${context.arch} yet; it can for ${Object.keys(targets).join(', ')}`);
  const agent = await agentFile(context.arch);
  const mirror = await findMirror(context.mirror);
  const folder = await mkdtemp(join(context.staging, '.tiny-'));
  const work: Work = { packages: join(folder, 'packages'), unpacked: join(folder, 'unpacked'), root: join(folder, 'root') };
  try {
    context.progress({ message: 'reading the package lists', done: 0, total: 4, unit: 'steps' });
    const apt = await openApt(mirror, suite, debianArch[context.arch], join(folder, 'apt'), context);
    context.progress({ message: 'fetching the kernel and busybox', done: 1, total: 4, unit: 'steps' });
    const kernelPackage = (await apt.depends(target.kernelPackage)).find((name) => name.startsWith('linux-image-'));
    if (kernelPackage === undefined)
      throw new VivError('download_failed', `${target.kernelPackage} of ${mirror.main} ${suite} names no kernel`);
    const debs = await apt.download([kernelPackage, 'busybox-static', ...programs.packages], work.packages);
    context.progress({ message: 'packing', done: 2, total: 4, unit: 'steps' });
    for (const deb of debs) await unpack(deb, work.unpacked, context.signal);
    const kernel = await findKernel(work.unpacked);
    const modules = await collectModules(work.unpacked);
    await fillRoot(work, kernel.version, modules.all, agent);
    await cp(kernel.file, join(context.staging, 'vmlinuz'));
    await writeFile(join(context.staging, 'initrd'), await initramfs(work.unpacked, kernel.version, modules.boot));
    context.progress({ message: 'making the disk', done: 3, total: 4, unit: 'steps' });
    await makeDisk(work.root, join(folder, 'root.raw'), join(context.staging, 'root.qcow2'), context.signal);
    return {
      kind: 'kernel',
      arch: context.arch,
      virtualBytes: diskBytes,
      minMemoryBytes,
      firmware: 'bios',
      ready: ['agent', 'network', 'disk'],
      source: `built from ${kernelPackage} and busybox-static of ${mirror.main} ${suite}`,
      disk: 'root.qcow2',
      iso: null,
      kernel: { file: 'vmlinuz', initrd: 'initrd', commandLine: commandLine(target.console) },
      defaults: { memoryBytes: 256 * MiB, firmware: 'bios', cloudInit: false },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** resize2fs, which grows the root file system online, lvm and mdadm, for who reads another VM's disks; with what they are linked with. */
const programs = {
  packages: [
    ...['mdadm', 'e2fsprogs', 'libext2fs2', 'libcom-err2', 'libblkid1', 'libuuid1', 'libc6'],
    ...['lvm2', 'libdevmapper1.02.1', 'libdevmapper-event1.02.1', 'libaio1', 'libedit2', 'libbsd0', 'libmd0', 'libtinfo6', 'libudev1'],
    ...['libselinux1', 'libpcre2-8-0', 'libsystemd0', 'libcap2', 'libgcrypt20', 'libgpg-error0', 'liblz4-1', 'liblzma5', 'libzstd1'],
  ],
  names: ['resize2fs', 'lvm', 'mdadm'],
  libraries: [
    ...['c', 'm', 'e2p', 'ext2fs', 'com_err', 'blkid', 'uuid', 'pthread'],
    ...['devmapper', 'devmapper-event', 'aio', 'edit', 'bsd', 'md', 'tinfo', 'udev'],
    ...['selinux', 'pcre2-8', 'systemd', 'cap', 'gcrypt', 'gpg-error', 'lz4', 'lzma', 'zstd'],
  ],
};
const libraryFile = new RegExp(`/(ld-linux[^/]*|lib(${programs.libraries.join('|')})\\.so[^/]*)$`);

/** Tuned by measuring boots under emulation; see docs. `quiet`: printing to a serial line costs an exit per byte. */
function commandLine(console: string): string {
  return [
    `console=tty0 console=${console}`,
    'quiet loglevel=3',
    'tsc=reliable no_timer_check', //  no calibration against timers that emulation makes jittery
    '8250.nr_uarts=1 i8042.noaux', //  no probing for what is not there
    'lsm= audit=0', //                 nothing in here loads a policy
    'psi=0 noautogroup', //            nobody asks for the one, and the other is for desktops; each is code that a fork has to run
    'cryptomgr.notests',
    'rcupdate.rcu_expedited=1',
    'random.trust_cpu=on',
    'net.ifnames=0',
  ].join(' ');
}

async function unpack(deb: string, into: string, signal: AbortSignal): Promise<void> {
  await mkdir(into, { recursive: true });
  await runOk('dpkg-deb', ['-x', deb, into], { timeoutMs: 120_000, signal, endsWithUs: true });
}

async function findKernel(unpacked: string): Promise<{ file: string; version: string }> {
  const name = (await readdir(join(unpacked, 'boot'))).find((entry) => entry.startsWith('vmlinu'));
  if (name === undefined) throw new VivError('corrupt', 'the kernel package has no /boot/vmlinuz');
  return { file: join(unpacked, 'boot', name), version: name.slice(name.indexOf('-') + 1) };
}

async function collectModules(unpacked: string): Promise<{ boot: Module[]; all: Module[] }> {
  const files = await findModules(join(unpacked, 'lib/modules'));
  const boot = await loadOrder(bootModules, files);
  return { boot, all: await loadOrder([...bootModules, ...lateModules, ...spareModules], files) };
}

/** modules.dep as modprobe reads it: each file, then what it needs, nearest first. */
async function modulesDep(modules: readonly Module[]): Promise<string> {
  const files = new Map(modules.map((module) => [module.name, module.file]));
  const lines = modules.map(async (module) => {
    const needed = (await loadOrder([module.name], files)).slice(0, -1).reverse();
    return `${inModules(module)}:${needed.map((one) => ` ${inModules(one)}`).join('')}`;
  });
  return `${(await Promise.all(lines)).join('\n')}\n`;
}

const inModules = (module: Module) => `${module.name}.ko`;

async function fillRoot(work: Work, version: string, modules: readonly Module[], agent: string): Promise<void> {
  const { root, unpacked } = work;
  for (const path of [
    'dev',
    'proc',
    'sys',
    'run',
    'tmp',
    'mnt',
    'home/user',
    'root',
    'var/log',
    'var/tmp',
    'var/lib',
    'usr/bin',
    'usr/lib',
    'usr/share',
    'usr/local/sbin',
    'usr/local/bin',
    'etc',
  ])
    await makeFolder(join(root, path));
  for (const [name, to] of [
    ['bin', 'usr/bin'],
    ['sbin', 'usr/bin'],
    ['lib', 'usr/lib'],
    ['lib64', 'usr/lib'],
    ['usr/sbin', 'bin'],
    ['usr/share/udhcpc', '../../etc/udhcpc'],
    ['var/run', '/run'],
  ] as const)
    await symlink(to, join(root, name));
  for (const path of ['tmp', 'var/tmp']) await chmod(join(root, path), 0o1777);
  await chmod(join(root, 'root'), 0o700);
  const busybox = join(unpacked, 'bin/busybox');
  await cp(busybox, join(root, 'usr/bin/busybox'));
  for (const name of applets(await readFile(busybox))) await symlink('busybox', join(root, 'usr/bin', name));
  for (const entry of await readdir(unpacked, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isProgram = programs.names.includes(entry.name) && /\/s?bin$/.test(entry.parentPath);
    if (entry.isDirectory() || !(isProgram || libraryFile.test(path))) continue;
    await cp(path, join(root, isProgram ? 'usr/bin' : 'usr/lib', entry.name), { verbatimSymlinks: true });
  }
  const moduleFolder = join(root, 'usr/lib/modules', version);
  await makeFolder(moduleFolder);
  for (const module of modules) await cp(module.file, join(moduleFolder, inModules(module)));
  await putFile(join(moduleFolder, 'modules.dep'), await modulesDep(modules));
  await putFile(join(root, 'usr/local/sbin/vivarium-agent'), await readFile(agent), 0o755);
  for (const file of tinyFiles(version, diskBytes / 512)) await putFile(join(root, file.path), file.content, file.mode);
}

async function initramfs(unpacked: string, version: string, modules: readonly Module[]): Promise<Buffer> {
  const folder = (path: string): CpioEntry => ({ path, type: 'folder', mode: 0o755 });
  const link = (name: string): CpioEntry => ({ path: `bin/${name}`, type: 'link', to: 'busybox' });
  const entries: CpioEntry[] = [
    ...['bin', 'dev', 'proc', 'root', 'lib', 'lib/modules', `lib/modules/${version}`].map(folder),
    { path: 'dev/console', type: 'character device', mode: 0o600, major: 5, minor: 1 },
    { path: 'bin/busybox', type: 'file', mode: 0o755, content: await readFile(join(unpacked, 'bin/busybox')) },
    ...['sh', 'mount', 'modprobe', 'switch_root', 'usleep'].map(link),
    { path: 'init', type: 'file', mode: 0o755, content: Buffer.from(initramfsInit) },
    { path: `lib/modules/${version}/modules.dep`, type: 'file', mode: 0o644, content: Buffer.from(await modulesDep(modules)) },
  ];
  for (const module of modules)
    entries.push({ path: `lib/modules/${version}/${inModules(module)}`, type: 'file', mode: 0o644, content: await readFile(module.file) });
  return cpio(entries);
}

async function makeDisk(root: string, raw: string, qcow2: string, signal: AbortSignal): Promise<void> {
  await makeExt4({
    folder: root,
    file: raw,
    bytes: diskBytes,
    label: 'vivarium',
    signal,
    owners: new Map([['/home/user', { uid: 1000, gid: 1000 }]]),
  });
  await runOk('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2], { timeoutMs: 120_000, signal, endsWithUs: true });
}
