// The compiled C programs of native/ that this installation carries, and the files that install the guest agent. native/build.sh builds them.
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import { isUsable } from './file/usable.ts';

export interface GuestAsset {
  readonly name: string;
  readonly file: string;
}

/** The files of native/guest-agent/install, which install the agent inside a guest. */
const installers = ['install.sh', 'vivarium-agent.service'] as const;

/** The static agent for an architecture. @throws missing_program when it has not been built */
export async function agentFile(arch: Arch): Promise<string> {
  const file = await builtProgram(arch, 'vivarium-agent');
  if (file !== null) return file;
  throw new VivError('missing_program', `the guest agent for ${arch} has not been built; build it with: native/build.sh ${arch}`);
}

/** The library that QEMU preloads to map guest memory as layers. Null where it has not been built: VMs run, but cannot be forked. */
export const memoryLibrary = (): Promise<string | null> => builtProgram(hostArch(), 'vivarium-qemu-preload.so');

/** Opens a VM's taps and passes them to its QEMU (native/net-tap). Null where it has not been built. */
export const tapProgram = (): Promise<string | null> => builtProgram(hostArch(), 'vivarium-net-tap');

/** Confines the processes of root's VMs (native/confine). Null where it has not been built. */
export const confineProgram = (): Promise<string | null> => builtProgram(hostArch(), 'vivarium-confine');

/** Relays port forwards (native/port-forward). Null where it has not been built: VMs run, but have no port forwards. */
export const forwardProgram = (): Promise<string | null> => builtProgram(hostArch(), 'vivarium-port-forward');

const hostArch = (): string => ({ x64: 'x86_64', arm64: 'aarch64' })[process.arch as string] ?? process.arch;

/** In .build of a checkout, in dist of the published package. */
const builtProgram = async (arch: string, name: string): Promise<string | null> =>
  (await inPackage(join('.build/native', arch, name))) ?? (await inPackage(join('native', arch, name)));

/** A file of native/guest-agent/install. @throws missing_program when the installation lacks it */
export async function guestFile(name: (typeof installers)[number]): Promise<string> {
  const file = await inPackage(join('native/guest-agent/install', name));
  if (file !== null) return file;
  throw new VivError('missing_program', `native/guest-agent/install/${name} is not in this installation of vivarium; install it again`);
}

/** Every file that is needed to install the agent inside a guest. */
export async function agentKit(arch: Arch): Promise<GuestAsset[]> {
  const agent = { name: 'vivarium-agent', file: await agentFile(arch) };
  return [agent, ...(await Promise.all(installers.map(async (name) => ({ name, file: await guestFile(name) }))))];
}

/** Searches upwards from here: the source is two folders below the package's root, a bundle may be at another depth. */
async function inPackage(path: string): Promise<string | null> {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, path);
    if (await isUsable(file, constants.R_OK)) return file;
    if (folder === dirname(folder)) return null;
  }
}
