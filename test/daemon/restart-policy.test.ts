// VMs that are meant to run although their start fails: they are tried again, shown with the reason, and a stop ends it.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };
const control = (host: TestHost, what: object) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify(what));

/** It ends by itself, and no QEMU starts any more. */
async function fall(host: TestHost, pid: number | null): Promise<void> {
  await control(host, { now: { exit: 1 }, dieAtStart: 'no luck today' });
  process.kill(pid as number, 'SIGUSR2');
}

test('a start by the policy that fails is tried again, later and later, until it works', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { pid } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, restart: 'always' });
  await fall(host, pid);
  await host.happened('vm.problem', { name: 'one', times: 2 });
  const { state, stateReason } = await host.client.vm.show({ vm: 'one' });
  assert.equal(state, 'broken');
  assert.equal(stateReason?.code, 'start_failed');
  assert.match(stateReason?.message ?? '', /could not be started again: .*no luck today/s);
  await control(host, {});
  await host.happened('vm.started', { name: 'one', times: 2 });
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
  const begun = (await host.client.task.list({ limit: 20 }))
    .filter(({ operation }) => operation === 'vm.start')
    .map((task) => task.createdAt)
    .reverse();
  const [first = 0, second = 0, third = 0] = begun;
  // A timer may be early by a part of a millisecond; a host that is busy makes them longer.
  assert.ok(second - first >= 1990 && third - second >= 3990, `the pauses grow: ${begun}`);
});

test('the next daemon continues the restarts, and a stop ends them', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { pid } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, restart: 'on-failure' });
  await fall(host, pid);
  await host.happened('vm.problem', { name: 'one' });
  await host.kill();
  await host.start();
  await host.happened('vm.problem', { name: 'one', times: 2 });
  assert.equal((await host.client.vm.stop({ vm: 'one' })).state, 'stopped');
  await control(host, {});
  const late = AbortSignal.timeout(5000);
  try {
    for await (const event of host.client.events({ signal: late })) assert.notEqual(event.type, 'vm.started');
  } catch (error) {
    if (!late.aborted) throw error;
  }
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'stopped');
});

test('with the host a VM is started that was broken', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { pid } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes, autostart: true });
  await control(host, { now: { exit: 1 } });
  process.kill(pid as number, 'SIGUSR2');
  await host.happened('vm.ended', { name: 'one' });
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'broken');
  await host.down();
  await control(host, {});
  const db = new DatabaseSync(host.paths.store);
  db.exec(`DELETE FROM entry WHERE key = 'host/boot'`);
  db.close();
  await host.start();
  await host.happened('vm.started', { name: 'one', times: 2 });
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
});
