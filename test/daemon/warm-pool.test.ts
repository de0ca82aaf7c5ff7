// Warm pools over the real daemon: they fill, give, refill, shrink and go; nothing is lost, doubled or left behind, whatever dies.
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Pool } from '../../src/contract/warm-pool.ts';
import { handlers } from '../../src/operations/index.ts';
import type { Client } from '../../src/sdk/index.ts';
import { eventually } from '../eventually.ts';
import { faultsOf, faultyHost, strike, underFault } from './faulty-host.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const small = { memoryBytes: 64 * 2 ** 20 };
/** So that the machine the tests run on decides nothing. */
const roomy = { VIV_MEMORY_RESERVE_BYTES: '0' };
const scarce = { VIV_MEMORY_RESERVE_BYTES: String(2 ** 50) };

/** With the machine `web` and its point `then`. */
async function withPoint(host: TestHost): Promise<TestHost> {
  const web = await host.client.run('tiny', { name: 'web', ...small });
  await web.snapshot('then');
  return host;
}

async function hostWithPoint(): Promise<TestHost> {
  const host = await testHost({ qemu: 'fake', env: roomy });
  await host.start();
  return withPoint(host);
}

/** The pool, as soon as it is as it should be. */
const until = (client: Client, pool: string, holds: (pool: Pool) => boolean): Promise<Pool> =>
  eventually('the pool becomes as it should be', async () => {
    const found = await client.pool.show({ pool });
    assert.ok(holds(found), JSON.stringify(found));
    return found;
  });
const full = (client: Client, pool = 'warm') => until(client, pool, ({ ready, size }) => ready === size);
const create = (client: Client, size: number) => client.pool.create({ pool: 'warm', from: 'web@then', size });

/** Processes and folders are those of the machines that are listed and of as many that stand ready. */
async function consistent(host: TestHost, ready: number): Promise<void> {
  const active = (await host.client.vm.list()).filter(({ state }) => state === 'running').length;
  const processes = [...(await host.qemus()).values()];
  assert.equal(processes.length, active + ready);
  assert.ok(processes.every((pids) => pids.length === 1));
  assert.equal((await readdir(host.paths.vms)).length, (await host.client.vm.list()).length + ready);
}

const refused = (promise: Promise<unknown>, code: string, words: RegExp) =>
  assert.rejects(promise, (error: Error & { code: string }) => error.code === code && words.test(error.message));

test('a pool fills in the background, gives a machine like any other, and refills', async () => {
  await using host = await hostWithPoint();
  const { client } = host;
  const made = await create(client, 2);
  assert.deepEqual([made.name, made.vm, made.point, made.size], ['warm', 'web', 'then', 2]);
  await full(client);
  await consistent(host, 2);
  assert.deepEqual(
    (await client.vm.list()).map(({ name }) => name),
    ['web'],
    'what stands ready is not listed',
  );
  assert.equal((await client.host.status({})).pools.ready, 2);
  assert.equal((await client.host.status({})).machines.total, 1);
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
  await using host = await hostWithPoint();
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

test('a pool is made larger and smaller, and its removal ends what stands ready', async () => {
  await using host = await hostWithPoint();
  const { client } = host;
  await create(client, 1);
  await client.pool.set({ pool: 'warm', size: 3 });
  await full(client);
  assert.equal((await client.pool.set({ pool: 'warm', size: 1 })).ready, 1);
  await consistent(host, 1);
  const taken = await client.take('warm');
  await client.pool.remove({ pool: 'warm' });
  await consistent(host, 0);
  assert.deepEqual(await client.pool.list({}), []);
  assert.equal((await client.vm.show({ vm: taken.id })).state, 'running');
  for (const { id } of await client.vm.list()) await client.vm.remove({ vm: id, force: true });
  assert.deepEqual(await readdir(host.paths.layers), []);
  assert.deepEqual(await readdir(host.paths.vms), []);
});

test('what a pool needs is not removed, and what cannot be is refused with the reason', async () => {
  await using host = await hostWithPoint();
  const { client } = host;
  await (await client.vm('web')).snapshot('disks', { disksOnly: true });
  await create(client, 1);
  await full(client);
  await refused(client.snapshot.remove({ vm: 'web', point: 'then' }), 'in_use', /pool warm is made of web@then.*viv pool rm warm/);
  await refused(client.vm.remove({ vm: 'web', force: true }), 'in_use', /pool warm/);
  assert.equal((await client.vm.show({ vm: 'web' })).state, 'running');
  await refused(create(client, 1), 'name_taken', /pool named warm/);
  await refused(client.pool.create({ pool: 'cold', from: 'web@disks' }), 'unsupported', /no memory/);
  await refused(client.pool.create({ pool: 'none', from: 'web@nothing' }), 'not_found', /no point nothing/);
  await refused(client.pool.create({ pool: 'none', from: 'web' }), 'invalid', /web@/);
  await refused(client.take('none'), 'not_found', /no pool named none/);
  await refused(client.take('warm', { name: 'web' }), 'name_taken', /web is taken/);
  await client.pool.remove({ pool: 'warm' });
  await client.snapshot.remove({ vm: 'web', point: 'then' });
});

test('what stands ready outlives the daemon, and one that ended is made again', async () => {
  await using host = await hostWithPoint();
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

test('the daemon may be killed while the pool fills', async () => {
  await using host = await hostWithPoint();
  await create(host.client, 4);
  for (const ready of [0, 1, 2, 3]) {
    await until(host.client, 'warm', (pool) => pool.ready >= ready);
    await host.kill();
    await host.start();
  }
  await full(host.client);
  await consistent(host, 4);
});

test('where memory is scarce the pool gives up first, and is filled when there is room', async () => {
  await using host = await hostWithPoint();
  await create(host.client, 2);
  await full(host.client);
  await host.down();
  await host.start(scarce);
  const empty = await until(host.client, 'warm', ({ ready, problem }) => ready === 0 && problem !== null);
  assert.match(empty.problem ?? '', /too little memory/);
  await consistent(host, 0);
  assert.ok((await host.client.event.list({ limit: 100 })).some(({ type, message }) => type === 'pool.gave' && /gave up 2/.test(message)));
  assert.equal((await host.client.take('warm')).state, 'running', 'a machine is given all the same');
  await host.down();
  await host.start();
  await full(host.client);
});

test('a machine that needs the memory gets that of the pool', async () => {
  await using host = await hostWithPoint();
  await create(host.client, 2);
  await full(host.client);
  // More than any host has: refused, but not before all that stands ready has been given up.
  await refused(host.client.run('tiny', { memoryBytes: 2 ** 43 }), 'no_memory', /available/);
  const { ready } = await host.client.pool.show({ pool: 'warm' });
  assert.equal(ready, 0);
});

test('what keeps a pool from being filled is told, and tried again', async () => {
  await using host = await hostWithPoint();
  const control = join(host.home, 'fake-qemu.json');
  await writeFile(control, JSON.stringify({ refuse: { 'migrate-incoming': 'not today' } }));
  await create(host.client, 1);
  const { problem } = await until(host.client, 'warm', (pool) => pool.problem !== null);
  assert.match(problem ?? '', /not today/);
  assert.ok((await host.client.event.list({ limit: 100 })).some(({ type, name }) => type === 'pool.problem' && name === 'warm'));
  await writeFile(control, '{}');
  await full(host.client);
  await consistent(host, 1);
});

test('a fault at any step of what is asked of a pool loses nothing and leaves nothing', { timeout: 240_000 }, async () => {
  await using host = await withPoint(await faultyHost(roomy));
  const pool = 'warm';
  const filled = async () => {
    await create(host.client, 1);
    await full(host.client);
  };
  const scenarios = {
    'pool.create': { prepare: async () => {}, act: () => create(host.client, 1) },
    'pool.set': { prepare: filled, act: () => host.client.pool.set({ pool, size: 2 }) },
    'pool.take': { prepare: filled, act: () => host.client.pool.take({ pool, name: 'taken' }) },
    'pool.remove': { prepare: filled, act: () => host.client.pool.remove({ pool }) },
  } as const;
  for (const [operation, { prepare, act }] of Object.entries(scenarios)) {
    const [first, ...others] = handlers[operation as 'pool.create'].steps.map((step) => faultsOf(operation, [step]));
    // A death before a later step is the same as one after the step before it.
    const later = others.flat().filter((fault) => !fault.endsWith('before:run:kill'));
    for (const fault of [...(first ?? []), ...later]) {
      await prepare();
      await strike(host, fault, act);
      const [found] = await host.client.pool.list({});
      if (found) await full(host.client);
      await eventually(fault, async () => consistent(host, found ? (await host.client.pool.show({ pool })).ready : 0));
      for (const { name: machine } of await host.client.vm.list())
        if (machine !== 'web') await host.client.vm.remove({ vm: machine, force: true });
      if (found) await host.client.pool.remove({ pool });
      await eventually(`${fault}, removed`, () => consistent(host, 0));
    }
  }
});

test('a fault at any step of filling a pool is over with the next try', { timeout: 240_000 }, async () => {
  await using host = await withPoint(await faultyHost(roomy));
  const failures = async () =>
    (await host.client.task.list({ limit: 1000 })).filter(({ operation, state }) => operation === 'pool.fill' && state === 'failed').length;
  for (const fault of faultsOf('pool.fill', handlers['pool.fill'].steps)) {
    const before = await failures();
    await underFault(host, fault, async () => {
      const asked = create(host.client, 1).catch(() => {}); // the daemon may die before it has answered
      const met = async () => assert.ok(fault.endsWith('kill') ? !alive(host.pid) : (await failures()) > before);
      await eventually(`${fault} is met`, met);
      await asked;
    });
    await full(host.client);
    await eventually(fault, () => consistent(host, 1));
    await host.client.pool.remove({ pool: 'warm' });
    await eventually(`${fault}, removed`, () => consistent(host, 0));
  }
});
