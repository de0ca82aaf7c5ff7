// The daemon is killed at random instants inside tasks that make something on the host. Whatever exists afterwards belongs to a VM, to a task in
// the journal or to nobody, and what belongs to nobody goes: processes, taps, mounts, files and records agree.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../src/contract/errors.ts';
import { inUseTaps } from '../../src/network/kernel/actual-state.ts';
import { tapOf, tapOwner } from '../../src/network/kernel/interface-names.ts';
import type { Client } from '../../src/sdk/index.ts';
import { backingFile } from '../../src/storage/chain.ts';
import { eventually } from '../eventually.ts';
import { generator } from './chaos.ts';
import { build } from './image-build.ts';
import type { TestHost } from './test-host.ts';

/** Runs a shell command where the host's networks are; null: this host has none. */
type Inside = ((command: string) => Promise<string>) | null;

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly inside: Inside;
}

interface Making {
  prepare(host: TestHost): Promise<unknown>;
  act(host: TestHost): Promise<unknown>;
}

const memoryBytes = 64 * 2 ** 20;
const nothing = async () => {};
const create = ({ client }: TestHost) => client.create('disk', { name: 'one', memoryBytes });
const run = ({ client }: TestHost) => client.run('tiny', { name: 'one', memoryBytes });
const source = (host: TestHost) => join(host.stateDirectory, 'source.raw');

/** By operation: what makes something on the host. The VM `web` runs all the time and has a NIC. */
const makings: Readonly<Record<string, Making>> = {
  'vm.run': { prepare: nothing, act: run },
  'vm.create': { prepare: nothing, act: create },
  'vm.start': { prepare: create, act: ({ client }) => client.vm.start({ vm: 'one' }) },
  'vm.start tpm': {
    prepare: ({ client }) => client.vm.create({ image: 'disk', name: 'one', memoryBytes, tpm: true }),
    act: ({ client }) => client.vm.start({ vm: 'one' }),
  },
  'vm.start of a suspended one': {
    prepare: async (host) => (await run(host)).suspend(),
    act: ({ client }) => client.vm.start({ vm: 'one' }),
  },
  'vm.restart': { prepare: run, act: ({ client }) => client.vm.restart({ vm: 'one', force: true }) },
  'vm.suspend': { prepare: run, act: ({ client }) => client.vm.suspend({ vm: 'one' }) },
  'vm.fork': { prepare: nothing, act: ({ client }) => client.vm.fork({ vm: 'web', count: 2 }) },
  'vm.fork full': { prepare: create, act: ({ client }) => client.vm.fork({ vm: 'one', full: true }) },
  'snapshot.create': { prepare: nothing, act: ({ client }) => client.snapshot.create({ vm: 'web', label: 'then' }) },
  'snapshot.restore': {
    prepare: async (host) => (await run(host)).snapshot('then'),
    act: ({ client }) => client.snapshot.restore({ vm: 'one', snapshot: 'then' }),
  },
  'nic.add': { prepare: nothing, act: ({ client }) => client.nic.add({ vm: 'web', network: 'default' }) },
  'network.create': { prepare: nothing, act: ({ client }) => client.network.create({ network: 'lab' }) },
  'forward.add': { prepare: nothing, act: ({ client }) => client.forward.add({ vm: 'web', forwards: ['127.0.0.1:8080:80'] }) },
  'security-group.create': {
    prepare: nothing,
    act: ({ client }) => client.securityGroup.create({ securityGroup: 'lab', rules: ['in tcp 1'] }),
  },
  'warm-pool.create': {
    prepare: async (host) => (await run(host)).snapshot('ready'),
    act: ({ client }) => client.warmPool.create({ warmPool: 'warm', from: 'one@ready', size: 2 }),
  },
  'image.import': {
    prepare: async (host) => {
      const bytes = randomBytes(2 ** 20);
      bytes.writeUInt16LE(0xaa55, 510);
      await writeFile(source(host), bytes);
    },
    act: (host) => host.client.image.import({ path: source(host), name: 'copy:1', format: 'raw' }),
  },
  'image.build': { prepare: nothing, act: build },
  'alert.create': {
    prepare: nothing,
    act: ({ client }) => client.alert.create({ alert: 'busy', rule: 'cpuPercent > 90 for 5m', to: ['log'] }),
  },
};

const networked = ['nic.add', 'network.create', 'forward.add', 'security-group.create'];

export async function killInside(host: TestHost, { rounds, seed, inside }: KillOptions): Promise<void> {
  const random = generator(seed);
  const names = Object.keys(makings).filter((name) => inside !== null || !networked.includes(name));
  const images = (await readdir(host.paths.images)).sort();
  const { info: web } = await host.client.run('tiny', { name: 'web', memoryBytes });
  /** How long each takes when nothing disturbs it, as far as it is known. */
  const usualMs = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const name = names[round % names.length] as string;
    const { prepare, act } = makings[name] as Making;
    await prepare(host);
    const begun = performance.now();
    let endedMs: number | null = null;
    const over = act(host).then(
      () => {
        endedMs = performance.now() - begun;
      },
      (error: unknown) => {
        if (!(error instanceof VivError) || error.code !== 'unavailable') throw error;
      },
    );
    const afterMs = random() * (usualMs.get(name) ?? 500);
    while (performance.now() - begun < afterMs && endedMs === null) await new Promise((resolve) => setImmediate(resolve));
    await host.kill();
    await over;
    if (endedMs !== null) usualMs.set(name, endedMs);
    const when = `round ${round}: the daemon died ${afterMs.toFixed(1)} ms after ${name} began (seed ${seed})`;
    await mkdir(stray(host), { recursive: true });
    await host.start();
    await host.settled();
    await eventually(`${when}: it is tidied up`, async () => !(await readdir(join(host.paths.run, 'vms'))).includes('stray'));
    await eventually(when, () => agrees(host, inside, web));
    await clear(host, images, web.id, when);
    await eventually(`${when}, and what it left was removed`, () => agrees(host, inside, web));
  }
}

/** Belongs to nobody, and is removed last. */
const stray = (host: TestHost) => join(host.paths.run, 'vms', 'stray');

/** What is there is what the records say. */
async function agrees(host: TestHost, inside: Inside, web: { id: string; pid: number | null }): Promise<void> {
  const { client, paths } = host;
  const tasks = await client.task.list({ limit: 50 });
  assert.deepEqual(
    tasks
      .filter(({ state, undoError }) => state === 'running' || undoError !== null)
      .map(({ operation, undoError }) => [operation, undoError]),
    [],
    'every task has ended, and what failed was undone',
  );
  const vms = await client.vm.list();
  for (const { name, state, stateReason } of vms) assert.notEqual(state, 'broken', `${name} is broken: ${stateReason?.message}`);
  assert.equal(vms.find(({ id }) => id === web.id)?.pid, web.pid, 'web runs in the process it was started in');
  const active = vms.filter(({ state }) => state === 'running' || state === 'paused');
  const processes = await host.qemus();
  const ready = await readyMembers(client, processes);
  const owners = [...active.map(({ id }) => id), ...ready].sort();
  assert.deepEqual([...processes.keys()].sort(), owners, 'processes are those of active VMs');
  for (const [id, pids] of processes) assert.equal(pids.length, 1, `${id} has one process`);
  assert.equal((await host.tpms()).length, active.filter(({ tpm }) => tpm).length, 'TPMs are those of active VMs');
  assert.deepEqual((await readdir(paths.vms)).sort(), [...vms.map(({ id }) => id), ...ready].sort(), 'folders are those of VMs');
  assert.deepEqual((await readdir(join(paths.run, 'vms'))).sort(), owners, 'sockets are those of active VMs');
  assert.deepEqual(await readdir(paths.staging), [], 'nothing unfinished is left');
  assert.deepEqual(
    (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(host.stateDirectory)),
    [],
    'no mount is left',
  );
  if (inside) await tapsAgree(vms, ready, owners, inside);
}

/** Ids of the warm pools' members, which no list shows: as many as the pools say. */
async function readyMembers(client: Client, processes: Map<string, number[]>): Promise<string[]> {
  const pools = await client.warmPool.list({});
  const shown = new Set((await client.vm.list()).map(({ id }) => id));
  const members = [...processes.keys()].filter((id) => !shown.has(id));
  for (const { name, size, ready } of pools) assert.equal(ready, size, `the warm pool ${name} is full`);
  assert.equal(
    members.length,
    pools.reduce((sum, { size }) => sum + size, 0),
    'each other process is a member of a warm pool',
  );
  return members;
}

async function tapsAgree(
  vms: Awaited<ReturnType<Client['vm']['list']>>,
  ready: readonly string[],
  owners: readonly string[],
  inside: Exclude<Inside, null>,
): Promise<void> {
  const text = await inside('ip -json link show');
  const taps = [...text.matchAll(/"ifname":"(t[^"]*)"/g)].map(([, tap = '']) => tap).filter((tap) => tapOwner(tap) !== null);
  const expected = vms
    .filter(({ id }) => owners.includes(id))
    .flatMap(({ id, nics }) => nics.filter(({ network }) => network !== 'user').map((nic) => tapOf(id, nic.id)));
  const ofMembers = taps.filter((tap) => ready.includes(tapOwner(tap)?.vmId ?? ''));
  assert.deepEqual(taps.filter((tap) => !ofMembers.includes(tap)).sort(), expected.sort(), 'taps are those of active VMs');
  // The fake QEMU drops the descriptors of NICs that are plugged in while it runs.
  const fromStart = (tap: string) => tap === tapOf(tapOwner(tap)?.vmId ?? '', 'net0');
  assert.deepEqual(inUseTaps(text).filter(fromStart).sort(), taps.filter(fromStart).sort(), 'each is in use by its process');
}

/** Removes all but `web`, and sees that nothing of it is left. */
async function clear({ client, paths }: TestHost, images: readonly string[], web: string, when: string): Promise<void> {
  for (const { name } of await client.warmPool.list({})) await client.warmPool.remove({ warmPool: name });
  for (const { name } of await client.forward.list({})) await client.forward.remove({ forward: name });
  for (const { id } of await client.vm.list()) if (id !== web) await client.vm.remove({ vm: id, force: true });
  for (const { id } of await client.snapshot.list({ vm: web })) await client.snapshot.remove({ vm: web, snapshot: id });
  for (const { id } of (await client.vm.show({ vm: web })).nics.slice(1)) await client.nic.remove({ vm: web, nic: id });
  for (const { name } of await client.network.list({})) if (name === 'lab') await client.network.remove({ network: name });
  for (const { name } of await client.securityGroup.list({})) await client.securityGroup.remove({ securityGroup: name });
  for (const { name } of await client.alert.list({})) await client.alert.remove({ alert: name });
  for (const { names } of await client.image.list({}))
    for (const name of names) if (/^(copy|built):1$/.test(name)) await client.image.remove({ image: name });
  assert.deepEqual((await readdir(paths.images)).sort(), images, `${when}: no image that nobody knows of`);
  assert.deepEqual(await readdir(paths.snapshots), [], `${when}: no snapshot is left`);
  const own = await chainsOf((await client.vm.show({ vm: web })).disks.map(({ backing }) => backing));
  const layers = (await readdir(paths.layers)).map((file) => join(paths.layers, file));
  assert.deepEqual(
    layers.filter((file) => !own.has(file)),
    [],
    `${when}: no layer is left`,
  );
}

/** These files and all that back them. */
async function chainsOf(files: readonly (string | null)[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (let [file, ...rest] = files; file !== undefined; [file, ...rest] = rest) {
    if (file === null || found.has(file)) continue;
    found.add(file);
    rest.push((await backingFile(file)).backing);
  }
  return found;
}
