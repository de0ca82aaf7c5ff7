// The programs that Vivarium uses, whether they are installed, and the command that installs each on this distribution.
import { findProgram } from '../process/find-program.ts';
import { runProgram } from '../process/run.ts';
import type { Distribution } from './distribution.ts';

export interface KnownProgram {
  readonly name: string;
  readonly purpose: string;
  readonly required: boolean;
  /** Package with it, by package manager. */
  readonly packages: { readonly apt: string; readonly dnf: string; readonly zypper: string; readonly pacman: string };
  /** Environment variable that names another binary. */
  readonly override?: string;
}

export interface FoundProgram {
  readonly name: string;
  readonly path: string | null;
  readonly version: string | null;
  readonly purpose: string;
  readonly required: boolean;
  readonly ok: boolean;
  readonly install: string | null;
}

const same = (name: string) => ({ apt: name, dnf: name, zypper: name, pacman: name });

export const knownPrograms: readonly KnownProgram[] = [
  {
    name: 'qemu-system-x86_64',
    purpose: 'runs x86-64 and i386 VMs',
    required: true,
    override: 'VIV_QEMU_X86_64',
    packages: { apt: 'qemu-system-x86', dnf: 'qemu-system-x86-core', zypper: 'qemu-x86', pacman: 'qemu-system-x86' },
  },
  {
    name: 'qemu-img',
    purpose: 'makes and converts disks',
    required: true,
    packages: { apt: 'qemu-utils', dnf: 'qemu-img', zypper: 'qemu-img', pacman: 'qemu-img' },
  },
  { name: 'setpriv', purpose: 'ends helper programs with the daemon', required: true, packages: same('util-linux') },
  {
    name: 'genisoimage',
    purpose: 'makes cloud-init seeds',
    required: true,
    packages: { apt: 'genisoimage', dnf: 'genisoimage', zypper: 'mkisofs', pacman: 'cdrtools' },
  },
  { name: 'swtpm', purpose: 'gives VMs a TPM', required: false, packages: same('swtpm') },
  {
    name: 'ip',
    purpose: 'makes networks',
    required: false,
    packages: { apt: 'iproute2', dnf: 'iproute', zypper: 'iproute2', pacman: 'iproute2' },
  },
  { name: 'nft', purpose: 'guards networks', required: false, packages: same('nftables') },
  {
    name: 'dnsmasq',
    purpose: 'gives VMs addresses and names',
    required: false,
    packages: { apt: 'dnsmasq-base', dnf: 'dnsmasq', zypper: 'dnsmasq', pacman: 'dnsmasq' },
  },
  { name: 'nsenter', purpose: 'enters the networks’ namespace', required: false, packages: same('util-linux') },
  { name: 'pasta', purpose: 'is the uplink of an ordinary user’s networks', required: false, packages: same('passt') },
  { name: 'tcpdump', purpose: 'captures what passes in a network', required: false, packages: same('tcpdump') },
  { name: 'mke2fs', purpose: 'makes root file systems of images', required: false, packages: same('e2fsprogs') },
  { name: 'dpkg-deb', purpose: 'unpacks Debian packages into images', required: false, packages: same('dpkg') },
  { name: 'apt-get', purpose: 'fetches and verifies Debian packages for images', required: false, packages: same('apt') },
  { name: 'mmdebstrap', purpose: 'builds the debian images', required: false, packages: same('mmdebstrap') },
  {
    name: 'gpgv',
    purpose: 'verifies signatures of cloud images',
    required: false,
    packages: { apt: 'gpgv', dnf: 'gnupg2', zypper: 'gpg2', pacman: 'gnupg' },
  },
  {
    name: 'xz',
    purpose: 'unpacks compressed images',
    required: false,
    packages: { apt: 'xz-utils', dnf: 'xz', zypper: 'xz', pacman: 'xz' },
  },
];

/** The command that installs `program` here; the Debian one where the distribution is not known. Pure. */
export function installCommand(program: KnownProgram, distribution: Distribution): string {
  const like = (...ids: string[]) => ids.some((id) => distribution.families.includes(id));
  const { packages } = program;
  if (like('fedora', 'rhel', 'centos')) return `dnf install ${packages.dnf}`;
  if (like('opensuse', 'suse', 'sles')) return `zypper install ${packages.zypper}`;
  if (like('arch')) return `pacman -S ${packages.pacman}`;
  const suite = distribution.codename === 'bookworm' && packages.apt.startsWith('qemu-') ? '-t bookworm-backports ' : '';
  return `apt-get install ${suite}${packages.apt}`;
}

/** Searches for all known programs concurrently. */
export async function findPrograms(distribution: Distribution, env: NodeJS.ProcessEnv): Promise<FoundProgram[]> {
  return Promise.all(
    knownPrograms.map(async (program) => {
      const { name, purpose, required } = program;
      const path = await findProgram((program.override && env[program.override]) || name, env);
      const install = path === null ? installCommand(program, distribution) : null;
      return { name, path, version: path === null ? null : await versionOf(path), purpose, required, ok: path !== null, install };
    }),
  );
}

async function versionOf(path: string): Promise<string | null> {
  // mke2fs knows only -V; both print to either stream.
  const flag = path.endsWith('mke2fs') ? '-V' : '--version';
  const result = await runProgram(path, [flag], { timeoutMs: 5000, keepBytes: 64 * 1024 }).catch(() => null);
  return result === null ? null : firstVersion(`${result.stdout}\n${result.stderr}`);
}

/** The first thing in a program's first line that looks like a version: later ones are of licences. Pure. */
export function firstVersion(words: string): string | null {
  return /(?<![\d.])\d+(?:\.\d+)+/.exec(words.trimStart().split('\n')[0] ?? '')?.[0] ?? null;
}
