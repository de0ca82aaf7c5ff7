// A fault at every journalled step of every operation on VMs: the step fails, or the daemon dies, just before and just
// after it. Whatever happens, what is left is whole. And every step, executed twice, comes to the same end.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { handlers } from '../../src/operations/index.ts';
import type { Client } from '../../src/sdk/index.ts';
import { faultyHost, strike, undoneWell } from './faulty-host.ts';
import { type TestHost, testHost } from './test-host.ts';

interface Scenario {
  /** Brings the VM `one` into the state that the operation starts from. */
  prepare(client: Client): Promise<unknown>;
  act(client: Client): Promise<unknown>;
  /** States that `one` may be in afterwards; null: it may also not exist. */
  after: (string | null)[];
}

const run = (client: Client) => client.run('tiny', { name: 'one', memoryBytes: 64 * 2 ** 20 });
const create = (client: Client) => client.create('disk', { name: 'one', memoryBytes: 64 * 2 ** 20 });
const nothing = async () => {};

async function noAlert({ alert }: Client): Promise<void> {
  for (const { name } of await alert.list({})) await alert.remove({ alert: name });
}
const createAlert = ({ alert }: Client) => alert.create({ alert: 'busy', rule: 'cpuPercent > 90 for 5m', to: ['log'] });
async function withAlert(client: Client): Promise<void> {
  await noAlert(client);
  await createAlert(client);
}

/** By operation; what follows a space in the key tells several of one apart. */
const scenarios: Record<string, Scenario> = {
  'vm.create': { prepare: nothing, act: create, after: ['stopped', null] },
  'vm.run': { prepare: nothing, act: run, after: ['running', null] },
  'vm.start': { prepare: create, act: (client) => client.vm.start({ vm: 'one' }), after: ['running', 'stopped'] },
  'vm.start tpm': {
    prepare: (client) => client.vm.create({ image: 'disk', name: 'one', memoryBytes: 64 * 2 ** 20, tpm: true }),
    act: (client) => client.vm.start({ vm: 'one' }),
    after: ['running', 'stopped'],
  },
  'vm.stop': { prepare: run, act: (client) => client.vm.stop({ vm: 'one' }), after: ['running', 'stopped'] },
  'vm.stop of one that is removed then': {
    prepare: (client) => client.run('tiny', { name: 'one', memoryBytes: 64 * 2 ** 20, removeOnStop: true }),
    act: (client) => client.vm.stop({ vm: 'one', force: true }),
    after: ['running', 'stopped', null],
  },
  'vm.restart': { prepare: run, act: (client) => client.vm.restart({ vm: 'one', force: true }), after: ['running', 'stopped'] },
  'vm.reset': { prepare: run, act: (client) => client.vm.reset({ vm: 'one' }), after: ['running'] },
  'vm.reset with a snapshot before it': {
    prepare: async (client) => {
      await run(client);
      await client.vm.set({ vm: 'one', snapshotPolicy: 'before risky operations' });
    },
    act: (client) => client.vm.reset({ vm: 'one' }),
    after: ['running'],
  },
  'vm.pause': { prepare: run, act: (client) => client.vm.pause({ vm: 'one' }), after: ['running', 'paused'] },
  'vm.resume': {
    prepare: async (client) => (await run(client)).pause(),
    act: (client) => client.vm.resume({ vm: 'one' }),
    after: ['running', 'paused'],
  },
  'vm.suspend': { prepare: run, act: (client) => client.vm.suspend({ vm: 'one' }), after: ['running', 'suspended'] },
  'vm.remove': { prepare: create, act: (client) => client.vm.remove({ vm: 'one' }), after: ['stopped', null] },
  'vm.rename': { prepare: create, act: (client) => client.vm.rename({ vm: 'one', name: 'other' }), after: ['stopped', null] },
  'vm.fork': { prepare: run, act: (client) => client.vm.fork({ vm: 'one', count: 2 }), after: ['running'] },
  'vm.fork full': {
    prepare: create,
    act: (client) => client.vm.fork({ vm: 'one', full: true }),
    after: ['stopped'],
  },
  'snapshot.create': { prepare: run, act: (client) => client.snapshot.create({ vm: 'one', label: 'later' }), after: ['running'] },
  'snapshot.restore': {
    prepare: async (client) => (await run(client)).snapshot('then'),
    act: (client) => client.snapshot.restore({ vm: 'one', snapshot: 'then' }),
    after: ['running', 'suspended'],
  },
  'snapshot.diff': {
    prepare: async (client) => {
      const vm = await run(client);
      for (const label of ['then', 'later']) await vm.snapshot(label);
    },
    act: (client) => client.snapshot.diff({ vm: 'one', snapshot: 'then', to: 'later' }),
    after: ['running'],
  },
  'snapshot.diff now': {
    prepare: async (client) => (await run(client)).snapshot('then'),
    act: (client) => client.snapshot.diff({ vm: 'one', snapshot: 'then', to: 'now' }),
    after: ['running'],
  },
  'snapshot.verify': {
    prepare: async (client) => (await run(client)).snapshot('then'),
    act: (client) => client.snapshot.verify({ vm: 'one' }),
    after: ['running'],
  },
  'snapshot.remove': {
    prepare: async (client) => (await run(client)).snapshot('then'),
    act: (client) => client.snapshot.remove({ vm: 'one', snapshot: 'then' }),
    after: ['running'],
  },
  'alert.create': { prepare: noAlert, act: createAlert, after: [null] },
  'alert.silence': {
    prepare: withAlert,
    act: (client) => client.alert.silence({ alert: 'busy', durationMs: 60_000 }),
    after: [null],
  },
  'alert.remove': { prepare: withAlert, act: (client) => client.alert.remove({ alert: 'busy' }), after: [null] },
  'vm.set': { prepare: create, act: (client) => client.vm.set({ vm: 'one', cpus: 2, diskBytes: 32 * 2 ** 20 }), after: ['stopped'] },
};

describe('a fault at every step', { concurrency: 2 }, () => {
  for (const [key, scenario] of Object.entries(scenarios)) {
    const [operation = ''] = key.split(' ');
    test(key, { timeout: 240_000 }, async () => {
      await using host = await faultyHost();
      const { steps } = handlers[operation as 'vm.create'];
      assert.ok(steps.length > 0);
      for (const step of steps) {
        for (const moment of ['before', 'after']) {
          // Dying before a step is dying after the one before it; only the first has none.
          const ways = moment === 'before' && step !== steps[0] ? ['throw'] : ['throw', 'kill'];
          for (const how of ways) await inject(host, scenario, `${operation}:${step.name}:${moment}:run:${how}`);
        }
      }
    });
  }

  test('the daemon dies while a failed run is being undone', { timeout: 120_000 }, async () => {
    await using host = await faultyHost();
    for (const step of handlers['vm.run'].steps) {
      if (!step.undo) continue;
      for (const moment of ['before', 'after']) {
        await inject(host, scenarios['vm.run'] as Scenario, `vm.run:start QEMU:after:run:throw,vm.run:${step.name}:${moment}:undo:kill`);
      }
    }
  });

  test('every step of every operation may be executed twice', { timeout: 120_000 }, async () => {
    await using host = await testHost({ qemu: 'fake' });
    await host.start({ VIV_TEST_TWICE: '1' });
    for (const [operation, scenario] of Object.entries(scenarios)) {
      await scenario.prepare(host.client);
      await scenario.act(host.client);
      await whole(host, scenario, `${operation} with each step twice`);
    }
  });
});

async function inject(host: TestHost, scenario: Scenario, fault: string): Promise<void> {
  await scenario.prepare(host.client);
  await strike(host, fault, () => scenario.act(host.client));
  await whole(host, scenario, fault);
}

/** What is there is of one piece, and the name can be used; leaves the host empty. */
async function whole(host: TestHost, scenario: Scenario, when: string): Promise<void> {
  const { client, paths } = host;
  await undoneWell(host, when);
  const vms = await client.vm.list();
  const one = vms.find((vmRef) => vmRef.name === 'one' || vmRef.name === 'other');
  assert.ok(
    scenario.after.includes(one?.state ?? null),
    `${when}: it is ${one?.state}${one?.stateReason ? ` (${one.stateReason.message})` : ''}`,
  );
  const active = vms.filter((vmRef) => vmRef.state === 'running' || vmRef.state === 'paused');
  assert.deepEqual(
    [...(await host.qemus()).keys()].sort(),
    active.map((vmRef) => vmRef.id).sort(),
    `${when}: processes are those of active VMs`,
  );
  assert.equal((await host.tpms()).length, active.filter((vmRef) => vmRef.tpm).length, `${when}: TPMs are those of active VMs`);
  assert.deepEqual((await readdir(paths.vms)).sort(), vms.map((vmRef) => vmRef.id).sort(), `${when}: folders are those of VMs`);
  for (const { id } of vms) await client.vm.remove({ vm: id, force: true });
  assert.deepEqual(await readdir(paths.layers), [], `${when}: removed, nothing of their disks is left`);
  assert.deepEqual(await readdir(paths.snapshots), [], `${when}: removed, no snapshot is left`);
  assert.deepEqual(await readdir(paths.vms), [], `${when}: removed, it leaves no folder`);
  assert.deepEqual(await readdir(join(paths.run, 'vms')).catch(() => []), [], `${when}: removed, it leaves no sockets`);
  await client.vm.remove({ vm: (await client.create('tiny', { name: 'one' })).id });
}
