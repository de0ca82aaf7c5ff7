// A home whose daemon is in a world of its own (world.ts), for all tests of a file.
import { readFile } from 'node:fs/promises';
import { after, before } from 'node:test';
import type { TestHost } from '../daemon/test-host.ts';
import { makeWorld, noWorld, type World } from './world.ts';

export interface HostInWorld {
  readonly world: World;
  readonly host: TestHost;
  /** Runs a shell command, without single quotes, where the home's networks are; its output. */
  readonly inside: (command: string) => Promise<string>;
}

/**
 * Made before the file's tests, where there can be a world; both end after them.
 * @param make makes the host of what its daemon's environment needs: VMs get a NIC in the network default
 * @param ready what is done with it before the first test
 */
export function hostInWorld(
  make: (env: NodeJS.ProcessEnv, world: World) => Promise<TestHost>,
  ready: (made: HostInWorld) => Promise<void>,
): void {
  const ending: AsyncDisposable[] = [];
  before(async () => {
    if (noWorld) return;
    const world = await makeWorld();
    ending.unshift(world);
    const host = await make({ ...world.env, VIV_DEFAULT_NETWORK: 'default' }, world);
    ending.unshift(host);
    await ready({ world, host, inside: (command) => insideNetworks(host, world, command) });
  });
  after(async () => {
    for (const one of ending) await one[Symbol.asyncDispose]();
  });
}

async function insideNetworks(host: TestHost, world: World, command: string): Promise<string> {
  const { pid } = JSON.parse(await readFile(`${host.paths.network}/holder.json`, 'utf8')) as { pid: number };
  return world.run('host', `nsenter --net=/proc/${pid}/ns/net sh -c '${command}'`);
}

export interface MaybeWorld extends AsyncDisposable {
  /** For a host's environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a shell command where the host's networks are; null: there is no world. */
  readonly inside: (host: TestHost) => ((command: string) => Promise<string>) | null;
}

/** A world for one test, or none where there can be none: its VMs have QEMU's own network then. */
export async function worldOrNone(): Promise<MaybeWorld> {
  if (noWorld) return { env: {}, inside: () => null, [Symbol.asyncDispose]: async () => {} };
  const world = await makeWorld();
  return {
    env: { ...world.env, VIV_DEFAULT_NETWORK: 'default' },
    inside: (host) => (command) => insideNetworks(host, world, command),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}
