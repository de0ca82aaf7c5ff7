// What follows a VM's end when the daemon was killed at a bad moment: no verb that is under way is overtaken, and nothing
// of a process that has gone is left.
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { alive, type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };

async function endQemus(host: TestHost): Promise<void> {
  for (const pids of (await host.qemus()).values())
    for (const pid of pids) {
      process.kill(pid, 'SIGKILL');
      while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

/** Longer than the pause before the first start by the policy, nothing is started. */
async function notStarted(host: TestHost): Promise<void> {
  const late = AbortSignal.timeout(2000);
  try {
    for await (const event of host.client.events({ signal: late })) assert.notEqual(event.type, 'vm.started');
  } catch (error) {
    if (!late.aborted) throw error;
  }
}

const control = (host: TestHost, what: object) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify(what));
const sockets = (host: TestHost) => readdir(join(host.paths.run, 'vms')).catch(() => []);

/** Lets the daemon die at this moment of the act; its QEMU ends while it is away. */
async function dieAt(host: TestHost, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act(), { code: 'unavailable' });
  await endQemus(host);
  await host.start();
  await host.settled();
}

test('a restart that the next daemon finishes is not overtaken by the removal that its policy asks for', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start({ VIV_TEST_FAULT: 'vm.restart:ask the guest to shut down:before:run:kill' });
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, removeOnStop: true });
  await dieAt(host, () => host.client.vm.restart({ vm: 'one', force: true }));
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
  const tasks = await host.client.task.list({ limit: 20 });
  assert.deepEqual(
    tasks.map(({ operation, state }) => [operation, state]),
    [
      ['vm.restart', 'done'],
      ['vm.run', 'done'],
    ],
  );
});

test('a task that a VM’s end asks for is begun once, after those that are taken up', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, removeOnStop: true });
  await host.kill();
  await endQemus(host);
  await host.start();
  await host.happened('vm.removed', { name: 'one' });
  await host.settled();
  assert.deepEqual(await host.client.vm.list(), []);
  const removals = (await host.client.task.list({ limit: 20 })).filter(({ operation }) => operation === 'vm.remove');
  assert.deepEqual(
    removals.map(({ state, recovered }) => [state, recovered]),
    [['done', false]],
    'it was not taken for one that another daemon had left',
  );
  const removed = (await host.client.event.list({ limit: 50 })).filter(({ type }) => type === 'vm.removed');
  assert.equal(removed.length, 1);
});

test('a stop that the next daemon finishes holds although the policy would start the VM again', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start({ VIV_TEST_FAULT: 'vm.stop:ask the guest to shut down:before:run:kill' });
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, restart: 'always' });
  await dieAt(host, () => host.client.vm.stop({ vm: 'one' }));
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'stopped');
  await notStarted(host);
});

test('a stop holds although the policy was about to start the VM again', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  for (const [name, how] of [
    ['one', { emit: [['SHUTDOWN', { guest: true, reason: 'guest-shutdown' }]], exit: 0 }],
    ['two', { exit: 1 }],
  ] as const) {
    const { pid } = await host.client.vm.run({ image: 'tiny', name, memoryBytes, restart: 'always' });
    await writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify({ now: how }));
    process.kill(pid as number, 'SIGUSR2');
    await host.happened('vm.ended', { name });
    await host.client.vm.stop({ vm: name });
  }
  await notStarted(host);
  for (const vm of await host.client.vm.list()) assert.equal(vm.state, 'stopped');
});

test('a VM that ended while the daemon was away leaves no sockets', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await host.kill();
  await endQemus(host);
  await host.start();
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'stopped');
  assert.deepEqual(await sockets(host), []);
});

test('a QEMU that ends while it is adopted is reported, and restarted by its policy', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await host.client.vm.run({ image: 'tiny', name: 'two', memoryBytes, restart: 'on-failure' });
  await host.happened('vm.started', { name: 'two' }); // events are written soon after, and the daemon dies now
  await host.kill();
  await control(host, { dieOn: { 'query-status': 'out of luck', qmp_capabilities: 'out of luck' } });
  await host.start();
  await host.happened('vm.ended', { name: 'one' });
  await host.happened('vm.ended', { name: 'two' });
  await control(host, {});
  const one = await host.client.vm.show({ vm: 'one' });
  assert.equal(one.stateReason?.code, 'qemu_exited');
  assert.match(one.stateReason?.message ?? '', /ended.*: out of luck/);
  await host.happened('vm.started', { name: 'two', times: 2 });
  const two = await host.client.vm.show({ vm: 'two' });
  assert.equal(two.state, 'running');
  assert.deepEqual(await sockets(host), [two.id]);
});

test('VMs that start with the host are started although the daemon dies meanwhile', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  for (const name of ['one', 'two']) await host.client.vm.create({ image: 'tiny', name, memoryBytes, autostart: true });
  await host.down();
  forgetBoot(host);
  // It may die before it has answered that it is there.
  await host.start({ VIV_TEST_FAULT: 'vm.start:start QEMU:after:run:kill' }).catch(() => {});
  while (await daemonAlive(host)) await new Promise((resolve) => setTimeout(resolve, 20));
  await host.start();
  await host.happened('vm.started', { name: 'two' });
  await host.settled();
  for (const vm of await host.client.vm.list()) assert.equal(vm.state, 'running', vm.name);
});

test('what an unfinished task of another version has created is removed', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start({ VIV_TEST_FAULT: 'vm.create:create the disks:after:run:kill' });
  await assert.rejects(host.client.vm.create({ image: 'disk', name: 'one', memoryBytes }), { code: 'unavailable' });
  inStore(host, `UPDATE entry SET value = replace(value, '"name":"create the disks"', '"name":"make all of it"') WHERE key LIKE 'task/%'`);
  await host.start();
  const [task] = await host.client.task.list({ limit: 1 });
  assert.deepEqual([task?.operation, task?.state, task?.error?.code], ['vm.create', 'failed', 'unsupported']);
  await host.happened('vm.removed', { name: 'one' });
  assert.deepEqual(await readdir(host.paths.vms), []);
  await host.client.vm.create({ image: 'disk', name: 'one', memoryBytes });
});

/** As if the host had started anew since the daemon was there last. */
const forgetBoot = (host: TestHost) => inStore(host, `DELETE FROM entry WHERE key = 'host/boot'`);

/** The daemon must be down. */
function inStore(host: TestHost, sql: string): void {
  const db = new DatabaseSync(host.paths.store);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

const daemonAlive = async (host: TestHost) => {
  const pid = Number(await readFile(join(host.paths.run, 'daemon.pid'), 'utf8').catch(() => '0'));
  return pid !== 0 && alive(pid);
};
