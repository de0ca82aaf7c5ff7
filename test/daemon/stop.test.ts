// Stopping: a guest is asked until it shuts down, and the answer tells when force was needed. Also what a restore without memory leads to, and
// a file that is missing.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };
const control = (host: TestHost, what: object) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify(what));

test('a guest that ignores the power button while it boots is asked again', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await control(host, { ignore: ['system_powerdown'] });
  const stopping = host.client.vm.stop({ vm: 'one', timeoutMs: 60_000 });
  await control(host, {});
  const stopped = await stopping;
  assert.equal(stopped.state, 'stopped');
  assert.equal(stopped.stateReason, null);
});

test('the answer and the event tell when force was needed', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await control(host, { ignore: ['system_powerdown'] });
  const stopped = await host.client.vm.stop({ vm: 'one', timeoutMs: 1000 });
  assert.equal(stopped.stateReason?.code, 'stopped_by_force');
  assert.match(stopped.stateReason?.message ?? '', /did not shut down within 1 s/);
  const events = await host.client.event.list({ limit: 100 });
  assert.match(events.find(({ type }) => type === 'vm.stopped')?.message ?? '', /did not shut down within 1 s/);
  assert.equal((await host.client.vm.start({ vm: 'one' })).stateReason, null);
});

test('a running VM that is restored to a snapshot without memory boots; a stopped one stays stopped', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes });
  await host.client.snapshot.create({ vm: 'one', label: 'disks', disksOnly: true });
  assert.equal((await host.client.snapshot.restore({ vm: 'one', snapshot: 'disks' })).state, 'running');
  assert.equal((await host.client.snapshot.restore({ vm: 'one', snapshot: 'disks', start: false })).state, 'stopped');
  assert.equal((await host.client.snapshot.restore({ vm: 'one', snapshot: 'disks' })).state, 'stopped');
});

test('a fork and a snapshot of a VM without its disk file name the file', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.create({ image: 'disk', name: 'one', memoryBytes });
  const { rootDisk, state } = host.paths.vm(id);
  await rm(rootDisk);
  await assert.rejects(host.client.vm.fork({ vm: 'one', count: 1 }), { code: 'corrupt', message: new RegExp(rootDisk) });
  await rm(state, { recursive: true });
  await assert.rejects(host.client.snapshot.create({ vm: 'one', label: 'x' }), { code: 'corrupt', message: new RegExp(rootDisk) });
});
