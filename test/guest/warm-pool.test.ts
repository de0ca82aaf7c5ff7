// A warm pool with real guests: what it gives answers, remembers what its snapshot was, and is somebody of its own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { clockOff, out } from './in-guest.ts';

let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'real', env: { VIV_MEMORY_RESERVE_BYTES: '0' } });
  await host.start();
  const web = await host.client.run('tiny', { name: 'web' });
  await out(web, 'until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; echo then > /run/memory');
  await web.snapshot('then');
});

after(() => host[Symbol.asyncDispose]());

const full = () =>
  eventually('the warm pool fills', async () => {
    const warmPool = await host.client.warmPool.show({ warmPool: 'warm' });
    assert.equal(warmPool.ready, warmPool.size, JSON.stringify(warmPool));
  });

test('what is taken answers and has its own identity, and the warm pool refills', async () => {
  await host.client.warmPool.create({ warmPool: 'warm', from: 'web@then', size: 2 });
  await full();
  const one = await host.client.take('warm');
  const two = await host.client.take('warm', { name: 'mine' });
  for (const vm of [one, two]) {
    assert.equal(await out(vm, 'cat /run/memory'), 'then');
    assert.equal(await out(vm, 'hostname'), vm.name);
    assert.equal(await out(vm, 'cat /sys/class/net/eth0/address'), vm.info.nics[0]?.mac);
    const apart = await clockOff(vm);
    assert.ok(apart < 2, `the guest knows how late it is (${apart} s)`);
  }
  assert.notEqual(await out(one, 'head -c 16 /dev/urandom | base64'), await out(two, 'head -c 16 /dev/urandom | base64'));
  await full();
});

test('one that stood ready over a restart of the daemon answers as well', async () => {
  await host.kill();
  await host.start();
  await full();
  const three = await host.client.take('warm', { name: 'three' });
  assert.equal(await out(three, 'hostname; cat /run/memory'), 'three\nthen');
});
