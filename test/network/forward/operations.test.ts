// Relays through the API, with VMs that are no more than a fake QEMU: what is refused, and by whom a port is taken; what is opened and closed
// with the VM, and what becomes of it when something dies. The host is a namespace of the test's own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { VivError } from '../../../src/contract/errors.ts';
import { handlers } from '../../../src/operations/index.ts';
import { faultyHost, strike } from '../../daemon/faulty-host.ts';
import { networkProcesses, type TestHost } from '../../daemon/test-host.ts';
import { eventually } from '../../eventually.ts';
import { hostInWorld } from '../host-in-world.ts';
import { hostAddress, noWorld, type World } from '../world.ts';

const skip = noWorld;
let world: World;
let host: TestHost;

hostInWorld(faultyHost, async (made) => {
  ({ world, host } = made);
  await host.client.run('tiny', { name: 'web' });
  await host.client.create('tiny', { name: 'off' });
});

const refused = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail('it was not refused'),
    (error: VivError) => error,
  );
const listening = () =>
  world
    .run('host', 'ss -Hltun')
    .split('\n')
    .filter((line) => !line.includes(':53 '))
    .map((line) => line.trim().split(/\s+/)[4])
    .filter(Boolean)
    .sort();
const list = async () => (await host.client.forward.list({})).map(({ name, vm: vmRef, state }) => `${name} ${vmRef} ${state}`);
const relays = async () => {
  const found = new Map<string, number>();
  for (const pid of await networkProcesses(host.paths.network)) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    if (words[1] === 'serve') found.set((words[2] ?? '').slice(`${host.paths.network}/forward/`.length), pid);
  }
  return found;
};
/** Somebody who has a port, and listens. */
async function takes(port: number, script: string): Promise<{ pid: number; end(): Promise<void> }> {
  const child = world.start('host', [process.execPath, '-e', `process.title = 'squatter'; ${script}`]);
  await eventually(`port ${port} is taken`, async () => listening().some((at) => at?.endsWith(`:${port}`)));
  return {
    pid: child.pid as number,
    async end() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test('what cannot be had is refused with the reason, and nothing has changed', { skip }, async () => {
  const { network } = host.client;
  await host.client.forward.add({ vm: 'web', forwards: ['7000-7009:7000'] });
  const tcp = await takes(8001, `require('net').createServer().listen(8001, '127.0.0.1')`);
  const udp = await takes(8002, `require('dgram').createSocket('udp6').bind(8002, '::')`);
  await network.create({ network: 'lan', kind: 'isolated', ipv4: 'none', ipv6: 'none' });
  await host.client.create('tiny', { name: 'old', networks: ['user'] });
  await host.client.create('tiny', { name: 'bare', networks: ['none'] });
  const table: [vm: string, forwards: string[], code: string, words: RegExp][] = [
    ['web', ['8001:80'], 'in_use', new RegExp(`TCP port 8001 is in use by squatter \\(pid ${tcp.pid}\\)`)],
    ['off', ['127.0.0.1:8000-8005'], 'in_use', /TCP port 8001 of 127\.0\.0\.1 is in use by squatter/],
    ['web', ['8002/udp'], 'in_use', new RegExp(`UDP port 8002 is in use by squatter \\(pid ${udp.pid}\\)`)],
    ['off', ['7005'], 'in_use', /7000-7009\/tcp is forwarded to web already.*viv forward rm 7000-7009\/tcp/],
    ['off', ['127.0.0.1:7009:80/tcp'], 'in_use', /is forwarded to web already/],
    ['web', ['9000', '9000:81'], 'invalid', /use the same port/],
    ['web', ['9000-9010', '127.0.0.1:9010'], 'invalid', /use the same port/],
    ['web', ['192.0.2.200:9000'], 'invalid', /192\.0\.2\.200 is not an address of this host/],
    ['web', ['[2001:db8:1::99]:9000'], 'invalid', /not an address of this host/],
    ['web', ['65000-65536'], 'invalid', /1 to 65535/],
    ['web', ['9000-9001:65535'], 'invalid', /1 to 65535/],
    ['web', ['9010-9000'], 'invalid', /first port of a range is larger/],
    ['web', ['9000-10000'], 'invalid', /at most 1000/],
    ['web', ['0:80'], 'invalid', /1 to 65535/],
    ['web', ['300.1.1.1:80'], 'invalid', /is not an address/],
    ['web', ['::1:80'], 'invalid', /is written as/],
    ['web', ['9000/sctp'], 'invalid', /is written as/],
    ['old', ['9000'], 'unsupported', /QEMU’s user-mode network/],
    ['bare', ['9000'], 'unsupported', /no NIC/],
    ['nobody', ['9000'], 'not_found', /no VM named nobody/],
  ];
  for (const [vmRef, forwards, code, words] of table) {
    const error = await refused(host.client.forward.add({ vm: vmRef, forwards }));
    assert.equal(error.code, code, `${forwards}: ${error.message}`);
    assert.match(error.message, words);
  }
  assert.equal((await refused(host.client.forward.add({ vm: 'web', nic: 'net7', forwards: ['9000'] }))).code, 'not_found');
  assert.match((await refused(host.client.run('tiny', { name: 'new', forwards: ['9000', '8001:80'] }))).message, /in use by squatter/);
  assert.match(
    (await refused(host.client.create('tiny', { name: 'new', networks: ['user'], forwards: ['9000'] }))).message,
    /QEMU’s user-mode/,
  );
  assert.equal((await refused(host.client.forward.remove({ forward: '9000' }))).code, 'not_found');
  assert.deepEqual(await list(), ['7000-7009/tcp web open']);
  await Promise.all([tcp.end(), udp.end()]);
  for (const vmRef of ['old', 'bare']) await host.client.vm.remove({ vm: vmRef });
  await host.client.forward.remove({ forward: '7000-7009' });
  assert.deepEqual(listening(), []);
});

test('a NIC that is bridged to the outside has no address to lead to', { skip }, async () => {
  world.run('host', 'ip link add name br0 type bridge; ip link set br0 up');
  await host.client.network.create({ network: 'outer', kind: 'bridged', interface: 'br0' });
  await host.client.create('tiny', { name: 'edge', networks: ['outer', 'default'] });
  const error = await refused(host.client.forward.add({ vm: 'edge', nic: 'net0', forwards: ['9000'] }));
  assert.match(error.message, /net0 of edge, because the bridged network outer assigns its address/);
  const [forward] = await host.client.forward.add({ vm: 'edge', forwards: ['9000'] });
  assert.equal(forward?.nic, 'net1');
  await host.client.vm.remove({ vm: 'edge' });
  await host.client.network.remove({ network: 'outer' });
  assert.deepEqual(await list(), []);
});

test('they are open while the VM runs, and go with it; a new name takes nothing away', { skip }, async () => {
  const vm = await host.client.run('tiny', { name: 'app', forwards: ['8080:80', `${hostAddress}:5353:53/udp`, '[::1]:9000-9001'] });
  const names = ['8080/tcp', `${hostAddress}:5353/udp`, '[::1]:9000-9001/tcp'].sort();
  assert.deepEqual((await host.client.vm.show({ vm: 'app' })).forwards, [
    `${hostAddress}:5353:53/udp`,
    '8080:80/tcp',
    '[::1]:9000-9001:9000/tcp',
  ]);
  const ports = [`${hostAddress}:5353`, '0.0.0.0:8080', '[::1]:9000', '[::1]:9001', '[::]:8080'].sort();
  await eventually('all ports are open', async () => listening().length === 5);
  assert.deepEqual(listening(), ports);
  await vm.rename('shop');
  assert.deepEqual(
    await list(),
    names.map((name) => `${name} shop open`),
  );
  const [fork] = await vm.fork({ name: 'twin' });
  assert.deepEqual((await host.client.vm.show({ vm: fork?.name ?? '' })).forwards, []);
  await host.client.vm.remove({ vm: 'twin', force: true });
  await host.client.vm.stop({ vm: 'shop', force: true });
  await eventually('all ports are closed', async () => listening().length === 0);
  assert.deepEqual(
    await list(),
    names.map((name) => `${name} shop closed`),
  );
  const error = await refused(host.client.nic.remove({ vm: 'shop', nic: 'net0' }));
  assert.equal(error.code, 'in_use');
  assert.match(error.message, /remove them first with: viv forward rm/);
  await host.client.vm.start({ vm: 'shop' });
  await eventually('all ports are open', async () => listening().length === 5);
  await host.client.vm.remove({ vm: 'shop', force: true });
  await eventually('all ports are closed', async () => listening().length === 0);
  assert.deepEqual(await list(), []);
});

test('of two that want the same port at once one gets it', { skip }, async () => {
  const calls = ['web', 'off'].map((vmRef) => host.client.forward.add({ vm: vmRef, forwards: ['8100-8110', '8200'] }));
  const ends = await Promise.allSettled(calls);
  assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.equal((await list()).length, 2);
  for (const { name } of await host.client.forward.list({})) await host.client.forward.remove({ forward: name });
});

test('a port in use when the VM starts is reported, and opened when it is free', { skip }, async () => {
  await host.client.forward.add({ vm: 'off', forwards: ['8300:80'] });
  const squatter = await takes(8300, `require('net').createServer().listen(8300)`);
  await host.client.vm.start({ vm: 'off' });
  const [failed] = await host.client.forward.list({ vm: 'off' });
  assert.equal(failed?.state, 'failed');
  assert.equal(failed?.problem, `TCP port 8300 is in use by squatter (pid ${squatter.pid})`);
  const events = async (type: string) => (await host.client.event.list({ limit: 1000 })).filter((event) => event.type === type);
  const [told] = await events('forward.failed');
  assert.equal(told?.message, `the port forward 8300/tcp to off is not open: TCP port 8300 is in use by squatter (pid ${squatter.pid})`);
  await squatter.end();
  await host.client.forward.add({ vm: 'web', forwards: ['8301'] });
  await eventually('both are open', async () => assert.deepEqual(await list(), ['8300/tcp off open', '8301/tcp web open']));
  assert.equal((await events('forward.opened')).length, 1);
  await host.client.vm.stop({ vm: 'off', force: true });
  await host.client.forward.remove({ forward: '8300' });
});

test('port forwards outlive the daemon; the next one restores ended relays and removes those not desired', { skip }, async () => {
  await host.client.forward.add({ vm: 'web', forwards: ['8400', '8401/udp'] });
  const before = await relays();
  assert.deepEqual([...before.keys()].sort(), ['8301/tcp', '8400/tcp', '8401/udp']);
  await host.kill();
  assert.deepEqual(await relays(), before);
  await host.start();
  await eventually('all of them are found', async () => (await list()).filter((line) => line.endsWith('open')).length === 3);
  assert.deepEqual(await relays(), before);
  await host.kill();
  process.kill(before.get('8400/tcp') as number, 'SIGKILL');
  await host.start();
  await eventually('the dead one is made again', async () => (await list()).filter((line) => line.endsWith('open')).length === 3);
  const after = await relays();
  assert.notEqual(after.get('8400/tcp'), before.get('8400/tcp'));
  assert.equal(after.get('8301/tcp'), before.get('8301/tcp'));
  for (const name of after.keys()) await host.client.forward.remove({ forward: name });
  assert.deepEqual([...(await relays()).keys()], []);
  assert.deepEqual(listening(), []);
});

test('a fault at any step leaves all of them, open, or none', { skip }, async () => {
  for (const operation of ['forward.add', 'forward.remove'] as const)
    for (const { name } of handlers[operation].steps)
      for (const [moment, how] of [
        ['before', 'throw'],
        ['before', 'kill'],
        ['after', 'throw'],
        ['after', 'kill'],
      ]) {
        const fault = `${operation}:${name}:${moment}:run:${how}`;
        if (operation === 'forward.remove') await host.client.forward.add({ vm: 'web', forwards: ['8500'] });
        await strike(host, fault, () =>
          operation === 'forward.add'
            ? host.client.forward.add({ vm: 'web', forwards: ['8500', '8501/udp'] })
            : host.client.forward.remove({ forward: '8500' }),
        );
        const settled = async () => {
          const lines = await list();
          return lines.every((line) => line.endsWith(' open')) && lines.length === (await relays()).size;
        };
        await eventually(`${fault}: relays are those of the list`, settled);
        const left = (await list()).length;
        assert.ok([0, operation === 'forward.add' ? 2 : 1].includes(left), `${fault}: ${left} are left`);
        for (const one of await host.client.forward.list({})) await host.client.forward.remove({ forward: one.name });
        assert.deepEqual([(await relays()).size, listening()], [0, []], fault);
      }
});
