// Warm pools over the real daemon: they fill, give, refill, shrink and go; nothing is lost, doubled or left behind, whatever dies.
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { WarmPool } from '../../src/contract/warm-pool.ts';
import { handlers } from '../../src/operations/index.ts';
import type { Client } from '../../src/sdk/index.ts';
import { eventually } from '../eventually.ts';
import { faultsOf, faultyHost, strike, underFault } from './faulty-host.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const small = { memoryBytes: 64 * 2 ** 20 };
/** So that the VM the tests run on decides nothing. */
const roomy = { VIV_MEMORY_RESERVE_BYTES: '0' };
const scarce = { VIV_MEMORY_RESERVE_BYTES: String(2 ** 50) };

/** With the VM `web` and its snapshot `then`. */
async function withSnapshot(host: TestHost): Promise<TestHost> {
  const web = await host.client.run('tiny', { name: 'web', ...small });
  await web.snapshot('then');
  return host;
}

async function hostWithSnapshot(): Promise<TestHost> {
  const host = await testHost({ qemu: 'fake', env: roomy });
  await host.start();
  return withSnapshot(host);
}

/** The warm pool, as soon as it is as it should be. */
const until = (client: Client, warmPool: string, holds: (warmPool: WarmPool) => boolean): Promise<WarmPool> =>
  eventually('the warm pool becomes as it should be', async () => {
    const found = await client.warmPool.show({ warmPool });
    assert.ok(holds(found), JSON.stringify(found));
    return found;
  });
const full = (client: Client, warmPool = 'warm') => until(client, warmPool, ({ ready, size }) => ready === size);
const create = (client: Client, size: number) => client.warmPool.create({ warmPool: 'warm', from: 'web@then', size });

/** Processes and folders are those of the VMs that are listed and of as many that stand ready. */
async function consistent(host: TestHost, ready: number): Promise<void> {
  const active = (await host.client.vm.list()).filter(({ state }) => state === 'running').length;
  const processes = [...(await host.qemus()).values()];
  assert.equal(processes.length, active + ready);
  assert.ok(processes.every((pids) => pids.length === 1));
  assert.equal((await readdir(host.paths.vms)).length, (await host.client.vm.list()).length + ready);
}

const refused = (promise: Promise<unknown>, code: string, words: RegExp) =>
  assert.rejects(promise, (error: Error & { code: string }) => error.code === code && words.test(error.message));

test('a warm pool fills in the background, gives a VM like any other, and refills', async () => {
  await using host = await hostWithSnapshot();
  const { client } = host;
  const made = await create(client, 2);
  assert.deepEqual([made.name, made.vm, made.snapshot, made.size], ['warm', 'web', 'then', 2]);
  await full(client);
  await consistent(host, 2);
  assert.deepEqual(
    (await client.vm.list()).map(({ name }) => name),
    ['web'],
    'what stands ready is not listed',
  );
  assert.equal((await client.host.status({})).warmPools.ready, 2);
  assert.equal((await client.host.status({})).vms.total, 1);
  const one = await client.take('warm');
  assert.deepEqual([one.name, one.state, one.info.forkedFrom], ['warm-1', 'running', 'web']);
  const two = await client.take('warm', { name: 'mine' });
  assert.equal(two.name, 'mine');
  assert.notEqual(one.info.nics[0]?.mac, two.info.nics[0]?.mac);
  assert.equal((await client.vm.show({ vm: 'mine' })).id, two.id);
  await full(client);
  await consistent(host, 2);
  await two.stop({ force: true });
  await two.start();
  await client.vm.remove({ vm: 'mine', force: true });
});

test('many at once get one each, and where none stands ready it is made', async () => {
  await using host = await hostWithSnapshot();
  const { client } = host;
  await create(client, 2);
  await full(client);
  const taken = await Promise.all(Array.from({ length: 5 }, () => client.take('warm')));
  assert.equal(new Set(taken.map(({ id }) => id)).size, 5);
  assert.deepEqual(taken.map(({ name }) => name).sort(), ['warm-1', 'warm-2', 'warm-3', 'warm-4', 'warm-5']);
  assert.ok(taken.every(({ state }) => state === 'running'));
  await full(client);
  await consistent(host, 2);
});

test('a warm pool is made larger and smaller, and its removal ends what stands ready', async () => {
  await using host = await hostWithSnapshot();
  const { client } = host;
  await create(client, 1);
  await client.warmPool.set({ warmPool: 'warm', size: 3 });
  await full(client);
  assert.equal((await client.warmPool.set({ warmPool: 'warm', size: 1 })).ready, 1);
  await consistent(host, 1);
  const taken = await client.take('warm');
  await client.warmPool.remove({ warmPool: 'warm' });
  await consistent(host, 0);
  assert.deepEqual(await client.warmPool.list({}), []);
  assert.equal((await client.vm.show({ vm: taken.id })).state, 'running');
  for (const { id } of await client.vm.list()) await client.vm.remove({ vm: id, force: true });
  assert.deepEqual(await readdir(host.paths.layers), []);
  assert.deepEqual(await readdir(host.paths.vms), []);
});

test('what a warm pool needs is not removed, and what cannot be is refused with the reason', async () => {
  await using host = await hostWithSnapshot();
  const { client } = host;
  await (await client.vm('web')).snapshot('disks', { disksOnly: true });
  await create(client, 1);
  await full(client);
  await refused(
    client.snapshot.remove({ vm: 'web', snapshot: 'then' }),
    'in_use',
    /warm pool warm is filled from web@then.*viv warm-pool rm warm/,
  );
  await refused(client.vm.remove({ vm: 'web', force: true }), 'in_use', /warm pool warm/);
  assert.equal((await client.vm.show({ vm: 'web' })).state, 'running');
  await refused(create(client, 1), 'name_taken', /warm pool named warm/);
  await refused(client.warmPool.create({ warmPool: 'cold', from: 'web@disks' }), 'unsupported', /no memory/);
  await refused(client.warmPool.create({ warmPool: 'none', from: 'web@nothing' }), 'not_found', /no snapshot nothing/);
  await refused(client.warmPool.create({ warmPool: 'none', from: 'web' }), 'invalid', /web@/);
  await refused(client.take('none'), 'not_found', /no warm pool named none/);
  await refused(client.take('warm', { name: 'web' }), 'name_taken', /web is taken/);
  await client.warmPool.remove({ warmPool: 'warm' });
  await client.snapshot.remove({ vm: 'web', snapshot: 'then' });
});

test('what stands ready outlives the daemon, and one that ended is made again', async () => {
  await using host = await hostWithSnapshot();
  await create(host.client, 2);
  await full(host.client);
  const before = [...(await host.qemus()).values()].flat().sort();
  await host.kill();
  await host.start();
  await full(host.client);
  assert.deepEqual([...(await host.qemus()).values()].flat().sort(), before, 'the same processes');
  const web = (await host.client.vm.show({ vm: 'web' })).pid;
  const [member = 0] = before.filter((pid) => pid !== web);
  process.kill(member, 'SIGKILL');
  await eventually('another is made', async () => {
    const pids = [...(await host.qemus()).values()].flat();
    return pids.length === 3 && !pids.includes(member);
  });
  await full(host.client);
  assert.equal((await host.client.take('warm')).state, 'running');
  await full(host.client);
  await consistent(host, 2);
});

test('the daemon may be killed while the warm pool fills', async () => {
  await using host = await hostWithSnapshot();
  await create(host.client, 4);
  for (const ready of [0, 1, 2, 3]) {
    await until(host.client, 'warm', (warmPool) => warmPool.ready >= ready);
    await host.kill();
    await host.start();
  }
  await full(host.client);
  await consistent(host, 4);
});

test('members of a warm pool are evicted first when memory is scarce, and created again later', async () => {
  await using host = await hostWithSnapshot();
  await create(host.client, 2);
  await full(host.client);
  await host.down();
  await host.start(scarce);
  const empty = await until(host.client, 'warm', ({ ready, problem }) => ready === 0 && problem !== null);
  assert.match(empty.problem ?? '', /too little memory/);
  await consistent(host, 0);
  assert.ok(
    (await host.client.event.list({ limit: 100 })).some(({ type, message }) => type === 'warm-pool.evicted' && /^2 members/.test(message)),
  );
  assert.equal((await host.client.take('warm')).state, 'running', 'a VM is given all the same');
  await host.down();
  await host.start();
  await full(host.client);
});

test('a VM that needs the memory gets that of the warm pool', async () => {
  await using host = await hostWithSnapshot();
  await create(host.client, 2);
  await full(host.client);
  // More than the host has, within its overcommit ratio: refused, but not before every ready VM has been given up.
  const memoryBytes = Math.floor((totalmem() * 1.5) / 2 ** 20) * 2 ** 20;
  await refused(host.client.run('tiny', { memoryBytes }), 'no_memory', /available/);
  const { ready } = await host.client.warmPool.show({ warmPool: 'warm' });
  assert.equal(ready, 0);
});

test('a failure to fill a warm pool is reported, and retried', async () => {
  await using host = await hostWithSnapshot();
  const control = join(host.stateDirectory, 'fake-qemu.json');
  await writeFile(control, JSON.stringify({ refuse: { 'migrate-incoming': 'not today' } }));
  await create(host.client, 1);
  const { problem } = await until(host.client, 'warm', (warmPool) => warmPool.problem !== null);
  assert.match(problem ?? '', /not today/);
  assert.ok((await host.client.event.list({ limit: 100 })).some(({ type, name }) => type === 'warm-pool.problem' && name === 'warm'));
  await writeFile(control, '{}');
  await full(host.client);
  await consistent(host, 1);
});

test('a fault at any step of what is asked of a warm pool loses nothing and leaves nothing', { timeout: 240_000 }, async () => {
  await using host = await withSnapshot(await faultyHost(roomy));
  const warmPool = 'warm';
  const filled = async () => {
    await create(host.client, 1);
    await full(host.client);
  };
  const scenarios = {
    'warm-pool.create': { prepare: async () => {}, act: () => create(host.client, 1) },
    'warm-pool.set': { prepare: filled, act: () => host.client.warmPool.set({ warmPool, size: 2 }) },
    'warm-pool.take': { prepare: filled, act: () => host.client.warmPool.take({ warmPool, name: 'taken' }) },
    'warm-pool.remove': { prepare: filled, act: () => host.client.warmPool.remove({ warmPool }) },
  } as const;
  for (const [operation, { prepare, act }] of Object.entries(scenarios)) {
    const [first, ...others] = handlers[operation as 'warm-pool.create'].steps.map((step) => faultsOf(operation, [step]));
    // A death before a later step is the same as one after the step before it.
    const later = others.flat().filter((fault) => !fault.endsWith('before:run:kill'));
    for (const fault of [...(first ?? []), ...later]) {
      await prepare();
      await strike(host, fault, act);
      const [found] = await host.client.warmPool.list({});
      if (found) await full(host.client);
      await eventually(fault, async () => consistent(host, found ? (await host.client.warmPool.show({ warmPool })).ready : 0));
      for (const { name: vm } of await host.client.vm.list()) if (vm !== 'web') await host.client.vm.remove({ vm: vm, force: true });
      if (found) await host.client.warmPool.remove({ warmPool });
      await eventually(`${fault}, removed`, () => consistent(host, 0));
    }
  }
});

test('a fault at any step of filling a warm pool is over with the next try', { timeout: 240_000 }, async () => {
  await using host = await withSnapshot(await faultyHost(roomy));
  const failures = async () =>
    (await host.client.task.list({ limit: 1000 })).filter(({ operation, state }) => operation === 'warm-pool.fill' && state === 'failed')
      .length;
  for (const fault of faultsOf('warm-pool.fill', handlers['warm-pool.fill'].steps)) {
    const before = await failures();
    await underFault(host, fault, async () => {
      const asked = create(host.client, 1).catch(() => {}); // the daemon may die before it has answered
      const met = async () => assert.ok(fault.endsWith('kill') ? !alive(host.pid) : (await failures()) > before);
      await eventually(`${fault} is met`, met);
      await asked;
    });
    await full(host.client);
    await eventually(fault, () => consistent(host, 1));
    await host.client.warmPool.remove({ warmPool: 'warm' });
    await eventually(`${fault}, removed`, () => consistent(host, 0));
  }
});
