// What this package carries in VM code: the agent that goes into guests and what installs it (guest/), and the library that
// QEMU processes load (memory/), what opens taps for them (tap/), and what relays forwards (forward/). scripts/build-guest.sh builds all of it.
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import { isUsable } from './usable.ts';

export interface GuestAsset {
  readonly name: string;
  readonly file: string;
}

/** Files of `guest/` that install the agent, beside the agent itself. */
const installers = ['install.sh', 'vivarium-agent.service'] as const;

/** The static agent for an architecture. Throws missing_program when it has not been built. */
export async function agentFile(arch: Arch): Promise<string> {
  // A checkout builds it into .build, the published package carries it in dist.
  const file = (await inPackage(join('.build/guest', arch, 'vivarium-agent'))) ?? (await inPackage(join('guest', arch, 'vivarium-agent')));
  if (file !== null) return file;
  throw new VivError('missing_program', `the guest agent for ${arch} has not been built; build it with: scripts/build-guest.sh`);
}

/** What the host's QEMU loads to map memory as layers. Null where it has not been built: VMs run, and cannot be forked. */
export async function memoryLibrary(): Promise<string | null> {
  const name = join('memory', hostArch(), 'vivarium-memory.so');
  return (await inPackage(join('.build', name))) ?? (await inPackage(name));
}

/** Opens a VM's taps and hands them to its QEMU (tap/tap.c). Null where it has not been built. */
export async function tapProgram(): Promise<string | null> {
  const name = join('tap', hostArch(), 'vivarium-tap');
  return (await inPackage(join('.build', name))) ?? (await inPackage(name));
}

/** Relays forwards (forward/forward.c). Null where it has not been built: VMs run, and the host's ports lead to none. */
export async function forwardProgram(): Promise<string | null> {
  const name = join('forward', hostArch(), 'vivarium-forward');
  return (await inPackage(join('.build', name))) ?? (await inPackage(name));
}

const hostArch = (): string => ({ x64: 'x86_64', arm64: 'aarch64' })[process.arch as string] ?? process.arch;

/** A file of guest/. */
export async function guestFile(name: (typeof installers)[number]): Promise<string> {
  const file = await inPackage(join('guest', name));
  if (file !== null) return file;
  throw new VivError('missing_program', `guest/${name} is not in this installation of vivarium; install it again`);
}

/** All that a medium needs to install the agent. */
export async function agentKit(arch: Arch): Promise<GuestAsset[]> {
  const agent = { name: 'vivarium-agent', file: await agentFile(arch) };
  return [agent, ...(await Promise.all(installers.map(async (name) => ({ name, file: await guestFile(name) }))))];
}

/** Looked for upwards from here: the source is two folders below the package's root, a bundle may be at another depth. */
async function inPackage(path: string): Promise<string | null> {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, path);
    if (await isUsable(file, constants.R_OK)) return file;
    if (folder === dirname(folder)) return null;
  }
}
