// When a guest is ready: its network, its grown disk, names in DNS; and what an image that knows its least memory is refused.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { out, refusal } from './in-guest.ts';

const MiB = 2 ** 20;

let host: TestHost;
const as = process.getuid?.() === 0 ? {} : { skip: 'the networks of this test need root' };

before(async () => {
  host = await testHost({ qemu: 'real', env: { VIV_DEFAULT_NETWORK: 'default' } });
  await host.start();
});

after(async () => host[Symbol.asyncDispose]());

test('tiny boots with the least memory that its image states, and is refused less', as, async () => {
  const image = await host.client.image.show({ image: 'tiny' });
  assert.ok(image.minMemoryBytes !== null && image.firmware === 'bios');
  const least = { memoryBytes: image.minMemoryBytes };
  const vm = await host.client.run('tiny', { name: 'small', ...least });
  await vm.wait({ for: 'ready' });
  assert.equal(await out(vm, 'head -c 4000000 /dev/zero | wc -c'), '4000000');
  const refused = await refusal(host.client.run('tiny', { name: 'smaller', memoryBytes: 64 * MiB }));
  assert.match(refused.message, new RegExp(`64 MiB.*at least ${image.minMemoryBytes / MiB} MiB`));
  assert.equal((await refusal(vm.set({ memoryBytes: 64 * MiB }))).code, 'invalid');
  await vm.remove({ force: true });
});

test('when two VMs are ready, each has its grown disk and reaches the other by name', as, async () => {
  const vms = await Promise.all(
    ['one', 'two'].map((name) => host.client.run('tiny', { name, memoryBytes: 128 * MiB, diskBytes: 2048 * MiB })),
  );
  for (const vm of vms) await vm.wait({ for: 'ready' });
  const [one, two] = vms;
  assert.ok(one && two);
  assert.ok(Number(await out(one, "df -k / | awk 'END { print $2 }'")) > 1_800_000);
  await out(one, 'ping -c 1 -W 10 two');
  await out(two, 'ping -c 1 -W 10 one');
  for (const condition of ['agent', 'network', 'disk'] as const) assert.equal((await one.wait({ for: condition })).state, 'running');
  assert.match((await refusal(one.wait({ for: 'cloud-init' }))).message, /one cannot reach this: the guest has no cloud-init/);
  // Its link is cut off and its address gone: what is missing is named.
  await out(two, 'kill $(cat /run/udhcpc.eth0.pid); ip addr flush dev eth0');
  const late = await refusal(two.wait({ for: 'network', timeoutMs: 5000 }));
  assert.deepEqual([late.code, /'network'.*has no address/.test(late.message)], ['timeout', true], late.message);
  const { forced } = await one.stop();
  assert.equal(forced, null);
});
