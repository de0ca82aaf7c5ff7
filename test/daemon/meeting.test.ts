// Verbs that meet on one VM: the later one decides by what the earlier one has left.
import assert from 'node:assert/strict';
import { access, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Task } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };
const control = (host: TestHost, what: object) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify(what));
const sockets = (host: TestHost) => readdir(join(host.paths.run, 'vms')).catch(() => []);

test('a disk does not grow under the saved memory of a VM that was being suspended when that was asked for', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes });
  const suspended = await begun((onTask) => host.client.vm.suspend({ vm: 'one' }, { onTask }));
  const grown = host.client.vm.set({ vm: 'one', diskBytes: 64 * 2 ** 20 });
  grown.catch(() => {});
  assert.equal((await suspended.end).state, 'suspended');
  await assert.rejects(grown, { code: 'wrong_state' });
});

test('forced verbs that are repeated do not cancel each other', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  const stops = await Promise.all([1, 2, 3].map(() => host.client.vm.stop({ vm: 'one', force: true })));
  assert.deepEqual(
    stops.map(({ state }) => state),
    ['stopped', 'stopped', 'stopped'],
  );
  await host.client.vm.start({ vm: 'one' });
  const removals = await Promise.allSettled([1, 2, 3].map(() => host.client.vm.remove({ vm: 'one', force: true })));
  for (const removal of removals) if (removal.status === 'rejected') assert.equal(removal.reason.code, 'not_found', removal.reason.message);
  assert.ok(removals.some(({ status }) => status === 'fulfilled'));
  assert.deepEqual(await host.client.vm.list(), []);
  for (const task of await host.client.task.list({ limit: 20 })) assert.notEqual(task.state, 'cancelled', task.operation);
});

test('a forced stop cuts a polite one short', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await control(host, { ignore: ['system_powerdown'] });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, restart: 'always' });
  const polite = await begun((onTask) => host.client.vm.stop({ vm: 'one', timeoutMs: 200_000 }, { onTask }));
  for await (const task of host.client.task.follow({ task: polite.task.id }))
    if (task.steps.some(({ name, state }) => name === 'ask the guest to shut down' && state === 'running')) break;
  assert.equal((await host.client.vm.stop({ vm: 'one', force: true })).state, 'stopped');
  await assert.rejects(polite.end, { code: 'cancelled' });
});

test('a forced stop does not bring back a VM that is being removed', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.create({ image: 'disk', name: 'one', memoryBytes });
  const removed = await begun((onTask) => host.client.vm.remove({ vm: 'one' }, { onTask }));
  const stopped = host.client.vm.stop({ vm: 'one', force: true });
  stopped.catch(() => {});
  await removed.end;
  await assert.rejects(stopped, { code: 'not_found' });
  assert.deepEqual(await host.client.vm.list(), []);
});

/** A call whose task has been begun; it may have ended by the time anybody looks at it. */
async function begun<T>(call: (onTask: (task: Task) => void) => Promise<T>): Promise<{ task: Task; end: Promise<T> }> {
  const { promise, resolve, reject } = Promise.withResolvers<Task>();
  const end = call(resolve);
  end.catch(reject);
  return { task: await promise, end };
}

test('a paused VM whose suspension is cancelled stays paused', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await host.client.vm.pause({ vm: 'one' });
  await host.down();
  await host.start({ VIV_TEST_FAULT: 'vm.suspend:save the memory:after:run:throw' });
  await assert.rejects(host.client.vm.suspend({ vm: 'one' }), { code: 'internal' });
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'paused');
  await host.client.vm.suspend({ vm: 'one' });
  const [slept = ''] = await readdir(host.paths.snapshots);
  assert.ok((await stat(host.paths.snapshot(slept).memory)).size > 0, 'what it sleeps at');
  assert.equal((await host.client.vm.start({ vm: 'one' })).state, 'running');
  assert.deepEqual(await readdir(host.paths.snapshots), []);
});

test('a QEMU that ends while its memory is saved is reported, and restarted by its policy', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id, pid } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, restart: 'on-failure' });
  for (const adopted of [false, true]) {
    if (adopted) {
      await host.kill();
      await host.start();
    }
    await control(host, { dieOn: { migrate: 'out of luck' } });
    const started = nextEvent(host, 'vm.started');
    await assert.rejects(host.client.vm.suspend({ vm: 'one' }));
    const { state, stateReason } = await host.client.vm.show({ vm: 'one' });
    assert.deepEqual([state, stateReason?.code], ['broken', 'qemu_exited']);
    assert.match(stateReason?.message ?? '', /out of luck/);
    assert.deepEqual(await sockets(host), []);
    await started;
  }
  assert.notEqual((await host.client.vm.show({ vm: id })).pid, pid);
});

async function nextEvent(host: TestHost, type: string): Promise<void> {
  for await (const event of host.client.events()) if (event.type === type) return;
}

test('a start from saved memory that the next daemon cannot finish leaves no process and no sockets', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes });
  await host.client.vm.suspend({ vm: 'one' });
  await host.down();
  await control(host, { ignore: ['migrate-incoming'] });
  await host.start();
  const starting = host.client.vm.start({ vm: 'one' });
  starting.catch(() => {});
  while (
    (await host.qemus()).size === 0 ||
    !(await access(host.paths.vm(id).qmp).then(
      () => true,
      () => false,
    ))
  );
  await host.kill();
  await control(host, { version: '1.0.0' });
  await host.start();
  await host.settled();
  const [task] = await host.client.task.list({ limit: 1 });
  assert.deepEqual([task?.operation, task?.state], ['vm.start', 'failed']);
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'suspended');
  assert.deepEqual([...(await host.qemus()).keys()], []);
  assert.deepEqual(await sockets(host), []);
  await host.down();
  await control(host, {});
  await host.start();
  assert.equal((await host.client.vm.start({ vm: 'one' })).state, 'running', 'its memory is still there');
});
