// The daemon dies within a step that takes a snapshot, and again where the next one takes it back. Whatever becomes of the snapshot: the
// VM is as it was, its record names what QEMU writes to, and it can have the next snapshot. With real guests: test/guest.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { after, before, test } from 'node:test';
import { connectQmp } from '../../src/qemu/qmp.ts';
import type { Client } from '../../src/sdk/index.ts';
import { type Instant, type Killer, killerOf } from './killer.ts';
import { type TestHost, testHost } from './test-host.ts';

type State = 'running' | 'paused' | 'suspended';

interface Case {
  act(client: Client, vm: string): Promise<unknown>;
  /** Each is the death of one daemon. */
  deaths: Instant[];
  /** It may be in one of these afterwards. */
  after?: State[];
  /** Before; paused, or with snapshots before what is risky. */
  prepare?(client: Client, vm: string): Promise<unknown>;
}

const snapshot = (client: Client, vm: string) => client.snapshot.create({ vm, label: 'point' });
const disksOnly = (client: Client, vm: string) => client.snapshot.create({ vm, label: 'point', disksOnly: true });
const fork = (client: Client, vm: string) => client.vm.fork({ vm });
const suspend = (client: Client, vm: string) => client.vm.suspend({ vm });
const reset = (client: Client, vm: string) => client.vm.reset({ vm });
const pause = (client: Client, vm: string) => client.vm.pause({ vm });
const guarded = (client: Client, vm: string) => client.vm.set({ vm, snapshotPolicy: 'before risky operations' });
const diff = async (client: Client, vm: string) => client.snapshot.diff({ vm, snapshot: 'then', to: 'now', files: false });
const earlier = (client: Client, vm: string) => client.snapshot.create({ vm, label: 'then', disksOnly: true });

const cases: Record<string, Case> = {
  'a fork, before the guest stands still': { act: fork, deaths: ['before stop'] },
  'a fork, whose guest stands still': { act: fork, deaths: ['after stop'] },
  'a fork, whose devices are saved': { act: fork, deaths: ['after migrate'] },
  'a fork, whose disks are on new tops': { act: fork, deaths: ['after transaction'] },
  'a snapshot, whose disks would be switched next': { act: snapshot, deaths: ['before transaction'] },
  'a snapshot, and before QEMU lets go of its tops': { act: snapshot, deaths: ['after migrate', 'before blockdev-del'] },
  'a snapshot, again and again': {
    act: snapshot,
    deaths: ['after migrate', 'after cont', 'after migrate', 'after transaction', 'before cont'],
  },
  'a snapshot of a paused VM': { act: snapshot, prepare: pause, deaths: ['after migrate'], after: ['paused'] },
  'a snapshot of disks': { act: disksOnly, deaths: ['after stop'] },
  'a comparison with now': { act: diff, prepare: earlier, deaths: ['after stop'] },
  'a suspension': { act: suspend, deaths: ['after migrate'], after: ['running', 'suspended'] },
  'a snapshot before a reset': { act: reset, prepare: guarded, deaths: ['after migrate'] },
  'a snapshot before a reset on new tops': { act: reset, prepare: guarded, deaths: ['after cont'] },
};

let host: TestHost;
const vms = new Map<string, { vm: string; killer: Killer }>();

before(async () => {
  host = await testHost({ qemu: 'fake' });
  await host.start();
  for (const name of Object.keys(cases)) {
    const { id: vm } = await host.client.run('tiny', { memoryBytes: 64 * 2 ** 20 });
    vms.set(name, { vm, killer: killerOf(host, vm) });
  }
  await host.kill();
  await host.start();
});

after(async () => {
  for (const { killer } of vms.values()) killer[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

for (const [name, { act, deaths, after: states = ['running'], prepare }] of Object.entries(cases))
  test(`the daemon dies in ${name}`, { timeout: 120_000 }, async () => {
    const { vm, killer } = vms.get(name) as { vm: string; killer: Killer };
    await prepare?.(host.client, vm);
    const [first, ...later] = deaths.map((instant) => () => killer.at(instant));
    await Promise.all([first?.(), act(host.client, vm).catch(() => {})]);
    for (const next of later) await Promise.all([next(), host.start().catch(() => {})]); // it may not come to serve
    await host.start();
    await host.settled();
    for (const { operation, undoError } of await host.client.task.list({ limit: 1000 })) assert.equal(undoError, null, operation);
    const { state } = await host.client.vm.show({ vm });
    assert.ok(states.includes(state as State), `it is ${state}`);
    if (state !== 'suspended') await agree(vm, state);
    await host.client.snapshot.create({ vm, label: 'next' });
    if (state !== 'suspended') await agree(vm, state);
    for (const { id, forkedFrom } of await host.client.vm.list())
      if (id === vm || forkedFrom) await host.client.vm.remove({ vm: id, force: true });
  });

test('they leave nothing', async () => {
  for (const folder of [host.paths.vms, host.paths.snapshots, host.paths.layers]) assert.deepEqual(await readdir(folder), [], folder);
});

/** The guest is as it is shown, and writes to the only file that is kept for it. */
async function agree(vm: string, state: string): Promise<void> {
  const { qmp: socket, state: folder } = host.paths.vm(vm);
  const qmp = await connectQmp(`${socket}.real`, { timeoutMs: 5000 });
  try {
    assert.equal(((await qmp.execute('query-status')) as { status: string }).status, state);
    const files = (await readdir(folder)).filter((name) => name.endsWith('.qcow2'));
    const drives = (await qmp.execute('query-blockstats')) as { 'node-name': string }[];
    assert.deepEqual(
      drives.map((drive) => drive['node-name']),
      files.map((file) => basename(file, '.qcow2')),
    );
    const nodes = (await qmp.execute('query-blockstats', { 'query-nodes': true })) as unknown[];
    assert.ok(nodes.length <= 4, 'and has no file open that it does not use');
  } finally {
    qmp.close();
  }
}
