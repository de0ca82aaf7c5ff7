// A fault at every step of what changes who may talk to whom (the step fails, or the daemon dies, just before and just after it), and daemons
// that are killed at any moment: what the kernel has is what the store says.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { tapOf, tapOwner } from '../../src/network/kernel/interface-names.ts';
import { handlers } from '../../src/operations/index.ts';
import { connectQmp } from '../../src/qemu/qmp.ts';
import { faultyHost, strike } from '../daemon/faulty-host.ts';
import type { TestHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { type HostInWorld, hostInWorld } from './host-in-world.ts';
import { noWorld } from './world.ts';

const skip = noWorld;
let host: TestHost;
let inside: HostInWorld['inside'];

hostInWorld(faultyHost, async (made) => {
  ({ host, inside } = made);
  await host.client.run('tiny', { name: 'web' });
});

/** What the store says of each thing that can be seen in the kernel as well, and what the kernel says. */
async function both(): Promise<{ store: unknown; kernel: unknown }> {
  const { vm: vmRef, securityGroup: group, network } = host.client;
  const [nic] = (await vmRef.show({ vm: 'web' })).nics;
  const rules = (await group.list({})).find(({ name }) => name === 'web')?.rules ?? [];
  const { capacityBytesPerSecond } = await network.show({ network: 'default' });
  const [ruleset, queues] = [await inside('nft -s list ruleset'), await inside('tc qdisc show')];
  const guarded = nic?.securityGroups.includes('web') === true;
  return {
    store: {
      egress: nic?.egress?.length === 0,
      limited: nic?.rateIn !== null,
      capacity: capacityBytesPerSecond !== null,
      rule: guarded && rules.includes('in tcp 8443'),
    },
    kernel: {
      egress: /goto dropped_egress/.test(ruleset),
      limited: / tbf /.test(queues),
      capacity: / htb /.test(queues),
      rule: /tcp dport 8443/.test(ruleset),
    },
  };
}

const settled = (what: string): Promise<void> =>
  eventually(what, async () => {
    const running = await host.client.task.list({ state: 'running' });
    const { store, kernel } = await both();
    assert.deepEqual(running, []);
    assert.deepEqual(kernel, store);
  });

/** Each changes one thing and takes it back. */
const changes = {
  'security-group.allow': [
    () => host.client.securityGroup.allow({ securityGroup: 'web', rule: 'in tcp 8443' }),
    () => host.client.securityGroup.revoke({ securityGroup: 'web', rule: 'in tcp 8443' }),
  ],
  'nic.set': [
    () => host.client.nic.set({ vm: 'web', nic: 'net0', egress: ['none'], rateIn: '8Mbit' }),
    () => host.client.nic.set({ vm: 'web', nic: 'net0', egress: ['all'], rateIn: 'none' }),
  ],
  'network.set': [
    () => host.client.network.set({ network: 'default', capacity: '80Mbit' }),
    () => host.client.network.set({ network: 'default', capacity: 'none' }),
  ],
} as const;

test('a fault at any step leaves the kernel with what the store says', { skip, timeout: 300_000 }, async () => {
  await host.client.securityGroup.create({ securityGroup: 'web', rules: ['in tcp 80'] });
  await host.client.nic.set({ vm: 'web', nic: 'net0', securityGroups: ['web'] });
  for (const [operation, [change, back]] of Object.entries(changes))
    for (const { name } of handlers[operation as 'security-group.allow'].steps.slice(1)) // the first only looks
      for (const how of ['before:run:throw', 'after:run:throw', 'before:run:kill', 'after:run:kill']) {
        const fault = `${operation}:${name}:${how}`;
        await strike(host, fault, change);
        await settled(fault);
        await (back() as Promise<unknown>).catch((error: { code?: string }) => assert.equal(error.code, 'not_found', fault)); // it was undone
      }
});

test('8 kills of the daemon while all of it changes leave the kernel with what the store says', { skip, timeout: 300_000 }, async () => {
  for (let kill = 0; kill < 8; kill++) {
    const calls = Object.values(changes).map(([change, back]) => (kill % 2 === 0 ? change : back)() as Promise<unknown>);
    const over = Promise.allSettled(calls);
    // Each a little later than the one before.
    const until = performance.now() + kill * 18;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    await host.kill();
    await over;
    await host.start();
    await settled(`kill ${kill}`);
  }
  for (const [, back] of Object.values(changes)) await (back() as Promise<unknown>).catch(() => {});
  await settled('at the end');
});

/** What makes and removes things: whatever becomes of the task, what is left can be used and removed. */
const lives: Readonly<Record<string, readonly [prepare: () => Promise<unknown>, act: () => Promise<unknown>]>> = {
  'network.create': [async () => {}, () => host.client.network.create({ network: 'lab', ipv4: '10.213.8.0/24', ipv6: 'none' })],
  'network.remove': [() => makeLab(false), () => host.client.network.remove({ network: 'lab' })],
  'nic.add': [() => makeLab(true), () => host.client.nic.add({ vm: 'idle', network: 'lab', address: '10.213.8.9' })],
  'nic.remove': [() => makeLab(true, 'lab'), () => host.client.nic.remove({ vm: 'idle', nic: 'net0' })],
  'nic.set': [() => makeLab(true, 'lab'), () => host.client.nic.set({ vm: 'idle', nic: 'net0', link: 'down' })],
  'security-group.create': [async () => {}, () => makeGroup()],
  'security-group.set': [() => makeGroup(), () => host.client.securityGroup.set({ securityGroup: 'lab', rules: ['in tcp 2'] })],
  'security-group.revoke': [() => makeGroup(), () => host.client.securityGroup.revoke({ securityGroup: 'lab', rule: 'in tcp 1' })],
  'security-group.remove': [() => makeGroup(), () => host.client.securityGroup.remove({ securityGroup: 'lab' })],
};

const makeGroup = () => host.client.securityGroup.create({ securityGroup: 'lab', rules: ['in tcp 1'] });

async function makeLab(vm: boolean, network = 'none'): Promise<void> {
  await host.client.network.create({ network: 'lab', ipv4: '10.213.8.0/24', ipv6: 'none' });
  if (vm) await host.client.create('tiny', { name: 'idle', networks: [network] });
}

test('a fault at any step of what is made and removed leaves something that can be used, or nothing', {
  skip,
  timeout: 300_000,
}, async () => {
  for (const [operation, [prepare, act]] of Object.entries(lives))
    for (const { name } of handlers[operation as 'security-group.create'].steps)
      for (const how of ['before:run:throw', 'after:run:throw', 'after:run:kill']) {
        const fault = `${operation}:${name}:${how}`;
        await prepare();
        await strike(host, fault, act);
        await settled(fault);
        for (const { undoError } of await host.client.task.list({ limit: 5 }))
          assert.ok(undoError === null || /which cannot be undone/.test(undoError), `${fault}: ${undoError}`);
        const { vm: vmRef, network, securityGroup: group } = host.client;
        const idle = (await vmRef.list({})).find((vm) => vm.name === 'idle');
        if (idle) {
          if (idle.nics.length === 0) await host.client.nic.add({ vm: 'idle', network: 'lab', address: '10.213.8.9' });
          await vmRef.remove({ vm: 'idle' });
        }
        if ((await network.list({})).some((one) => one.name === 'lab')) await network.remove({ network: 'lab' });
        if ((await group.list({})).some((one) => one.name === 'lab')) await group.remove({ securityGroup: 'lab' });
      }
});

/** NICs of the VM that runs, as the store, its QEMU and the kernel have them. */
async function nics(): Promise<{ store: string[]; qemu: string[]; kernel: string[] }> {
  const { id, nics } = await host.client.vm.show({ vm: 'web' });
  const qmp = await connectQmp(host.paths.vm(id).nics, { timeoutMs: 30_000 });
  try {
    const devices = (await qmp.execute('qom-list', { path: '/machine/peripheral' })) as { name: string }[];
    const taps = (await inside('ip -json link show')).matchAll(/"ifname":"(t[^"]*)"/g);
    return {
      store: nics.map((nicId) => tapOf(id, nicId.id)).sort(),
      qemu: devices.flatMap(({ name }) => (/^net\d+-dev$/.test(name) ? [tapOf(id, name.replace('-dev', ''))] : [])).sort(),
      kernel: [...taps].flatMap(([, tap = '']) => (tapOwner(tap)?.vmId === id ? [tap] : [])).sort(),
    };
  } finally {
    qmp.close();
  }
}

async function settledNics(what: string): Promise<string[]> {
  await settled(what);
  return eventually(what, async () => {
    const { store, qemu, kernel } = await nics();
    assert.deepEqual([qemu, kernel], [store, store]);
    return store;
  });
}

test('a fault at any step of plugging in and pulling a NIC of a VM that runs leaves store, QEMU and kernel with the same NICs', {
  skip,
  timeout: 300_000,
}, async () => {
  const { network } = host.client;
  const attach = () => host.client.nic.add({ vm: 'web', network: 'lab', address: '10.213.8.9' });
  const detach = () => host.client.nic.remove({ vm: 'web', nic: 'net1' });
  await makeLab(false);
  let have = 1;
  for (const [operation, act, before] of [
    ['nic.add', attach, 1],
    ['nic.remove', detach, 2],
  ] as const)
    for (const { name } of handlers[operation].steps)
      for (const how of ['before:run:throw', 'after:run:throw', 'after:run:kill']) {
        const fault = `${operation}:${name}:${how}`;
        // Whatever has become of the last one, the other way goes.
        if (have !== before) await (before === 1 ? detach : attach)();
        await strike(host, fault, act);
        have = (await settledNics(fault)).length;
        for (const { undoError } of await host.client.task.list({ limit: 5 })) assert.equal(undoError, null, fault);
      }
  await (have === 2 ? detach : attach)();
  assert.notEqual((await settledNics('at the end')).length, have);
  if (have === 1) await detach();
  await network.remove({ network: 'lab' });
});

test('what QEMU or the guest refuses leaves store, QEMU and kernel with the same NICs', { skip, timeout: 300_000 }, async () => {
  const { network } = host.client;
  const control = (what: object) => writeFile(`${host.stateDirectory}/fake-qemu.json`, JSON.stringify(what));
  await makeLab(false);
  for (const command of ['netdev_add', 'device_add']) {
    await control({ refuse: { [command]: 'no more of that' } });
    await assert.rejects(host.client.nic.add({ vm: 'web', network: 'lab' }), /no more of that/);
    assert.equal((await settledNics(command)).length, 1);
    await control({});
  }
  await host.client.nic.add({ vm: 'web', network: 'lab' });
  await control({ refuse: { device_del: 'not now' } });
  await assert.rejects(host.client.nic.remove({ vm: 'web', nic: 'net1' }), /not now/);
  assert.equal((await settledNics('device_del')).length, 2);
  await control({ clings: true });
  const pulled = host.client.nic.remove({ vm: 'web', nic: 'net1' });
  pulled.catch(() => {});
  await eventually('it is being pulled', async () => (await host.client.task.list({ state: 'running' })).length === 1);
  await host.kill();
  await assert.rejects(pulled);
  await control({});
  await host.start();
  // The next daemon asks again, and the guest lets go now.
  assert.equal((await settledNics('a guest that clings to it')).length, 1);
  await network.remove({ network: 'lab' });
});

test('every step may be executed twice', { skip, timeout: 300_000 }, async () => {
  await host.kill();
  await host.start({ VIV_TEST_TWICE: '1' });
  for (const [change, back] of Object.values(changes)) {
    await (change() as Promise<unknown>);
    await settled('changed');
    await (back() as Promise<unknown>);
  }
  await settled('changed back');
  for (const operation of ['network.create', 'nic.add', 'nic.set', 'nic.remove', 'security-group.create'] as const) {
    await lives[operation]?.[1]();
    if (operation === 'network.create') await host.client.create('tiny', { name: 'idle', networks: ['none'] });
  }
  await host.client.forward.add({ vm: 'web', forwards: ['28731:80'] });
  assert.equal((await host.client.forward.list({})).length, 1);
  await host.client.forward.remove({ forward: '28731' });
  await host.client.vm.remove({ vm: 'idle' });
  await host.client.network.remove({ network: 'lab' });
  await host.client.securityGroup.remove({ securityGroup: 'lab' });
  await settled('at the end');
});
