// What of the host a VM's process can reach when the daemon is root (native/confine does it): namespaces of its own, in which there is what it
// needs and nothing else. An ordinary user's processes are not confined: they are that user's.
import { readFile } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { confineProgram } from '../host/guest-asset.ts';
import { runOk } from '../host/process/run.ts';
import { kvmGroup } from './kvm/device.ts';

export interface Confinement {
  /** Its user and group. */
  readonly uid: number;
  /** Folders of its own, which it writes to as far as its user may. */
  readonly folders: readonly string[];
  /** Files that it reads. Those that do not exist are left out. */
  readonly files: readonly string[];
  /** It needs /dev/kvm. */
  readonly kvm: boolean;
  /** False: it stays in the network namespace in which it is started. */
  readonly ownNetwork: boolean;
}

/** Programs and libraries, what QEMU reads beside them (firmware, keymaps), and no configuration but the linker's. */
const system = ['/usr', '/bin', '/lib', '/lib32', '/lib64', '/libx32', '/etc/ld.so.cache', '/etc/alternatives'];
/** QEMU's user-mode NAT asks the host's name servers. */
const nameServers = '/etc/resolv.conf';
const devices = ['/dev/null', '/dev/zero', '/dev/random', '/dev/urandom'];

const releaseDeadlineMs = 10_000;

const isBelow = (path: string, folders: readonly string[]): boolean =>
  folders.some((folder) => path === folder || path.startsWith(`${folder}/`));

/**
 * The words before those of the program, which becomes this process.
 * @param env VIV_QEMU_FILES: files and folders, separated by colons, that a QEMU outside /usr needs
 * @throws missing_program
 */
export async function confinedBy(
  { uid, folders, files, kvm, ownNetwork }: Confinement,
  binary: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string[]> {
  const launcher = await confineProgram();
  if (launcher === null)
    throw new VivError('missing_program', 'vivarium-confine, which confines VMs, has not been built; build it with: native/build.sh');
  const more = (env['VIV_QEMU_FILES'] ?? '').split(':');
  const readable = [...system, ...[...more, binary].filter((path) => path.startsWith('/') && !isBelow(path, system))];
  const group = kvm ? await kvmGroup().catch(() => null) : null;
  const alone = [...new Set([...files, ...(ownNetwork ? [] : [nameServers])])].filter((file) => !isBelow(file, [...readable, ...folders]));
  return [
    ...[launcher, 'run', `--user=${uid}`],
    ...(typeof group === 'number' ? [`--group=${group}`] : []),
    ...(ownNetwork ? ['--network'] : []),
    ...[...new Set(readable)].map((path) => `--system=${path}`),
    ...folders.map((path) => `--write=${path}`),
    ...alone.map((path) => `--read=${path}`),
    ...[...devices, ...(kvm ? ['/dev/kvm'] : [])].map((path) => `--device=${path}`),
    '--',
  ];
}

/**
 * Once it has opened its files, a process needs its descriptors alone: what lies below these folders is removed from its namespace, so that
 * it cannot open it again, and a file that is removed takes no space. Repeatable.
 */
export async function releaseFiles(pid: number, below: readonly string[]): Promise<void> {
  const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
  const places = mounts.split('\n').map((line) => unescaped(line.split(' ')[4] ?? ''));
  const left = places.filter((place) => below.some((folder) => place.startsWith(`${folder}/`)));
  const launcher = left.length === 0 ? null : await confineProgram();
  if (launcher !== null) await runOk(launcher, ['release', String(pid), ...left], { timeoutMs: releaseDeadlineMs });
}

/** A character that would end a field is written as three octal digits (proc(5)). */
const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
