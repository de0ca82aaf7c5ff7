// Taps while a process has them: one that is removed by hand is restored, and no daemon removes those of a process that it does not know yet.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { type HostInWorld, hostInWorld } from './host-in-world.ts';
import { noWorld } from './world.ts';

const skip = noWorld;
let host: TestHost;
let inside: HostInWorld['inside'];

hostInWorld(
  (env) => testHost({ qemu: 'fake', env }),
  async (made) => {
    ({ host, inside } = made);
    await host.start();
  },
);

/** Names of the taps that a process has open. */
const inUse = async () => [...(await inside('ip -o link')).matchAll(/ (t[a-z0-9]{12}\d): <[^>]*LOWER_UP/g)].map(([, tap]) => tap);

const messageOf = async (type: string) =>
  (await host.client.event.list({ limit: 1000 })).find((event) => event.type === type)?.message ?? '';

test('a tap that is removed by hand is restored with its process within seconds, and reported', { skip }, async () => {
  const vm = await host.client.run('tiny', { name: 'web' });
  const tap = `t${vm.id}0`;
  assert.deepEqual(await inUse(), [tap]);
  await inside(`ip link del ${tap}`);
  await eventually('the process has it again', async () => assert.deepEqual(await inUse(), [tap]));
  assert.match(await inside(`ip -o link show dev ${tap}`), /master br-default/);
  await host.happened('nic.reconnected', { name: 'web' });
  assert.match(await messageOf('nic.reconnected'), /net0 of web was removed on the host and has been restored/);
  await inside(`ip link set dev ${tap} nomaster`);
  await eventually('it is a port of its bridge again', async () =>
    assert.match(await inside(`ip -o link show dev ${tap}`), /master br-default/),
  );
  await vm.remove({ force: true });
  await eventually('it is gone with its VM', async () => !(await inside('ip -o link')).includes(tap));
});

test('when several taps are removed, none is attached by a guess, and that is reported', { skip }, async () => {
  await host.client.network.create({ network: 'back' });
  const vm = await host.client.run('tiny', { name: 'two', networks: ['default', 'back'] });
  await inside(`ip link del t${vm.id}0; ip link del t${vm.id}1`);
  await host.happened('nic.lost', { name: 'two' });
  assert.match(await messageOf('nic.lost'), /net[01] of two .* could not be restored .*Restart two/);
  await vm.remove({ force: true });
});

test('a daemon that is killed while a VM starts leaves the tap to its process, and the next one serves both', { skip }, async () => {
  // Its QEMU answers nothing, so that the start is not recorded.
  await writeFile(`${host.stateDirectory}/fake-qemu.json`, JSON.stringify({ silent: true }));
  const running = host.client.run('tiny', { name: 'slow' }).catch(() => {});
  await eventually('its QEMU has the tap', async () => (await inUse()).length === 1);
  const [tap] = await inUse();
  await host.kill();
  await running;
  await host.start();
  const { state } = await host.client.vm.show({ vm: 'slow' });
  assert.notEqual(state, 'running', 'its start is not recorded');
  for (let nth = 0; nth < 3; nth++) await host.client.network.set({ network: 'default', capacity: `${nth + 1}Mbit` });
  assert.deepEqual(await inUse(), [tap], 'the kernel has been reconciled several times');
  assert.match(await inside(`ip -o link show dev ${tap}`), /master br-default/);
  assert.match(await inside('nft list set bridge vivarium ports'), new RegExp(String(tap)));
  await writeFile(`${host.stateDirectory}/fake-qemu.json`, '{}');
  await host.client.vm.remove({ vm: 'slow', force: true });
});
