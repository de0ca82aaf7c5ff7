// Networks through the API, with VMs that are no more than a fake QEMU: what is refused before anything changes, what is made in the
// kernel, and that nothing of it is left. The host is a namespace of the test's own.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { networkProcesses, type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { type HostInWorld, hostInWorld } from './host-in-world.ts';
import { noWorld, type World } from './world.ts';

const skip = noWorld;
let world: World;
let host: TestHost;
let inside: HostInWorld['inside'];

hostInWorld(
  (env, world) => {
    world.run(
      'host',
      'ip link add name e9 type veth peer name e8; ip link set e9 up; ip link set e8 up; ip link add name br0 type bridge; ip address add 203.0.113.1/24 dev br0; ip link set br0 up',
    );
    return testHost({ qemu: 'fake', env });
  },
  async (made) => {
    ({ world, host, inside } = made);
    await host.start();
  },
);

const refused = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail('it was not refused'),
    (error: VivError) => error,
  );

test('what cannot be a network is refused with the reason, and nothing has changed', { skip }, async () => {
  const { network } = host.client;
  await network.create({ network: 'taken', ipv4: '10.77.0.0/24', ipv6: 'none' });
  const table: [input: Parameters<typeof network.create>[0], code: string, words: RegExp][] = [
    [{ network: 'taken' }, 'name_taken', /network taken exists already/],
    [{ network: 'a', ipv4: '10.77.0.128/25' }, 'invalid', /overlaps 10\.77\.0\.0\/24, the subnet of the network taken/],
    [{ network: 'a', ipv4: '192.0.2.0/25' }, 'invalid', /overlaps 192\.0\.2\.0\/24, which this host has a route to \(dev e0\)/],
    [{ network: 'a', ipv6: '2001:db8:1::/64' }, 'invalid', /overlaps 2001:db8:1::\/64, which this host has a route to \(dev e0\)/],
    [{ network: 'a', ipv4: '10.1.2.3' }, 'invalid', /not an IPv4 subnet/],
    [{ network: 'a', ipv4: 'none', ipv6: 'none' }, 'invalid', /needs an IPv4 or IPv6 subnet/],
    [{ network: 'a', kind: 'bridged' }, 'invalid', /needs an interface of the host/],
    [{ network: 'a', kind: 'bridged', interface: 'eth7' }, 'invalid', /no interface eth7; usable: .*br0/],
    [{ network: 'a', kind: 'bridged', interface: 'e0' }, 'in_use', /has an address of the host, 192\.0\.2\.9/],
    [{ network: 'a', kind: 'bridged', interface: 'br0', ipv4: '10.1.2.0/24' }, 'invalid', /assigns the addresses/],
    [{ network: 'a', interface: 'br0' }, 'invalid', /is for bridged networks/],
  ];
  for (const [input, code, words] of table) {
    const error = await refused(network.create(input));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
  }
  assert.deepEqual(
    (await network.list({})).map(({ name }) => name),
    ['taken'],
  );
  for (const name of ['user', 'none', '../x', 'A', ''])
    assert.equal((await refused(network.create({ network: name }))).code, 'invalid', name);
});

test('an address outside its network, the network’s own or taken is refused, and so is a MAC address twice', { skip }, async () => {
  const one = await host.client.create('tiny', { name: 'one', networks: ['taken,address=10.77.0.5,mac=52:54:00:00:00:05'] });
  const table: [network: string, code: string, words: RegExp][] = [
    ['taken,address=10.78.0.5', 'invalid', /not in 10\.77\.0\.0\/24/],
    ['taken,address=10.77.0.1', 'invalid', /is reserved in the network taken/],
    ['taken,address=10.77.0.255', 'invalid', /is reserved in the network taken/],
    ['taken,address=10.77.0.5', 'in_use', /used by one/],
    ['taken,address=fd00::5', 'invalid', /no IPv6 subnet/],
    ['taken,mac=52:54:00:00:00:05', 'in_use', /MAC address .* used by one/],
    ['nowhere', 'not_found', /viv network create nowhere/],
    ['taken,vlan=5', 'unsupported', /VLAN/],
    ['user,vlan=5x', 'invalid', /VLAN/],
  ];
  for (const [network, code, words] of table) {
    const error = await refused(host.client.create('tiny', { networks: [network] }));
    if (network.includes('vlan=5') && error.code !== code) continue; // this kernel has them
    assert.equal(error.code, code, `${network}: ${error.message}`);
    assert.match(error.message, words);
  }
  assert.equal((await refused(host.client.network.remove({ network: 'taken' }))).code, 'in_use');
  await one.remove();
  await host.client.network.remove({ network: 'taken' });
});

test('VMs that are made at once have addresses of their own, and keep them', { skip }, async () => {
  const vms = await Promise.all(Array.from({ length: 12 }, (_, nth) => host.client.create('tiny', { name: `many-${nth}` })));
  const seen = async () => (await host.client.vm.list({})).flatMap(({ nics }) => nics.flatMap(({ addresses }) => addresses));
  const addresses = await seen();
  assert.equal(new Set(addresses).size, 24);
  await host.kill();
  await host.start();
  assert.deepEqual(await seen(), addresses);
  for (const { name } of vms) await host.client.vm.remove({ vm: name });
});

test('a network that is bridged reaches the host’s bridge, and one that is routed has a route; at the end the host is as it was', {
  skip,
}, async () => {
  const seen = () =>
    world.run(
      'host',
      'ip -o link | cut -d: -f2; ip route | sed s,.linkdown,,; ip -6 route show table main | grep -v fe80; nft list ruleset',
    );
  const before = seen();
  const { network } = host.client;
  await network.create({ network: 'lan', kind: 'bridged', interface: 'br0' });
  await network.create({ network: 'port', kind: 'bridged', interface: 'e9' });
  await network.create({ network: 'open', kind: 'routed', ipv4: '10.66.0.0/24', ipv6: 'none' });
  const vm = await host.client.run('tiny', { name: 'edge', networks: ['lan', 'port', 'open'] });
  const ports = world.run('host', 'bridge link');
  assert.match(ports, /master br0/);
  assert.match(ports, / e9@\S+ .*master vb[0-9a-f]{8}/);
  assert.match(world.run('host', 'ip route'), /10\.66\.0\.0\/24 via/);
  assert.match(await inside('bridge link'), /master br-lan/);
  await vm.remove({ force: true });
  for (const name of ['lan', 'port', 'open']) await network.remove({ network: name });
  await host.down();
  assert.deepEqual(await networkProcesses(host.paths.network), []);
  // The kernel takes a namespace down, with what leads into it, a little after the last process in it has ended.
  await eventually('the host is as it was', () => assert.equal(seen(), before));
  await host.start();
});

test('the host keeps an interface and a route that are its own by now, and gets an interface back at once', { skip }, async () => {
  const { network } = host.client;
  const keep = await host.client.run('tiny', { name: 'keep' });
  const [port, routed] = [
    { network: 'port', kind: 'bridged', interface: 'e9' } as const,
    { network: 'lent', ipv4: '10.67.0.0/24', ipv6: 'none' },
  ];
  await network.create(port);
  await network.create(routed);
  world.run('host', 'ip address add 203.0.113.9/24 dev e9; ip route add 10.67.0.0/24 via 192.0.2.1');
  assert.match(
    (await refused(host.client.run('tiny', { name: 'edge', networks: ['port'] }))).message,
    /e9 cannot be bridged, because it has an address of the host/,
  );
  assert.match(
    (await refused(host.client.run('tiny', { name: 'far', networks: ['lent'] }))).message,
    /another route to 10\.67\.0\.0\/24, .*\(dev e0\)/,
  );
  assert.match(world.run('host', 'ip route show 10.67.0.0/24'), /via 192\.0\.2\.1 dev e0/);
  world.run('host', 'ip address delete 203.0.113.9/24 dev e9; ip route delete 10.67.0.0/24');
  await host.client.run('tiny', { name: 'edge', networks: ['port'] });
  await host.client.run('tiny', { name: 'far', networks: ['lent'] });
  assert.match(world.run('host', 'bridge link'), / e9@\S+ .*master vb[0-9a-f]{8}/);
  assert.match(world.run('host', 'ip route show 10.67.0.0/24'), /dev viv/);
  for (const vmRef of ['edge', 'far']) await host.client.vm.remove({ vm: vmRef, force: true });
  await network.remove({ network: 'port' });
  await eventually('the interface is free, although a VM runs', () => !/ e9@/.test(world.run('host', 'bridge link')));
  await network.create({ ...port, network: 'again' });
  for (const name of ['again', 'lent']) await network.remove({ network: name });
  await keep.remove({ force: true });
});

test('an interface that disappears is reported and blocks no other VM; it is attached again when it returns', {
  skip,
}, async () => {
  const { network, vm: vmRef, event } = host.client;
  const [{ sequence } = { sequence: 0 }] = (await event.list({ limit: 1000 })).slice(-1);
  world.run('host', 'ip link add name gone0 type veth peer name gone1; ip link set gone0 up; ip link add name br7 type bridge');
  await network.create({ network: 'wire', kind: 'bridged', interface: 'gone0' });
  await network.create({ network: 'switch', kind: 'bridged', interface: 'br7' });
  await host.client.run('tiny', { name: 'edge', networks: ['wire', 'switch'] });
  assert.equal((await network.show({ network: 'wire' })).problem, null);
  world.run('host', 'ip link del gone0; ip link del br7');
  for (const name of ['wire', 'switch']) await host.happened('network.uplink-lost', { name, after: sequence });
  assert.match((await network.show({ network: 'wire' })).problem ?? '', /bridged to gone0, which this host does not have now/);
  await host.client.run('tiny', { name: 'other', networks: ['default'] });
  const error = await refused(vmRef.restart({ vm: 'edge', force: true }));
  assert.match(error.message, /does not have now/);
  assert.equal((await vmRef.show({ vm: 'edge' })).state, 'running');
  await host.client.nic.add({ vm: 'edge', network: 'default' });
  await vmRef.stop({ vm: 'edge', force: true });
  // With an address it is the host's.
  world.run('host', 'ip link add name gone0 type veth peer name gone1; ip address add 203.0.113.77/24 dev gone0; ip link set gone0 up');
  await vmRef.start({ vm: 'edge' }).then(
    () => assert.fail('it was started'),
    (reason: VivError) => assert.match(reason.message, /gone0 cannot be bridged, because it has an address|does not have now/),
  );
  world.run('host', 'ip address del 203.0.113.77/24 dev gone0; ip link add name br7 type bridge');
  await vmRef.start({ vm: 'edge' });
  const joined = () => world.run('host', 'bridge link; ip -o link show type veth');
  assert.match(joined(), / gone0@\S+ .*master vb[0-9a-f]{8}/);
  const [{ sequence: later } = { sequence: 0 }] = (await event.list({ limit: 1000 })).slice(-1);
  world.run('host', 'ip link del gone0; ip link del br7');
  for (const name of ['wire', 'switch']) await host.happened('network.uplink-lost', { name, after: later });
  world.run(
    'host',
    'ip link add name gone0 type veth peer name gone1; ip link set gone0 up; ip link add name br7 type bridge; ip link set br7 up',
  );
  for (const name of ['wire', 'switch']) await host.happened('network.uplink-restored', { name, after: later });
  assert.match(joined(), / gone0@\S+ .*master vb[0-9a-f]{8}/);
  assert.match(joined(), /vj[0-9a-f]{8}@\S+ .*master br7/);
  assert.match(await inside('bridge link'), /master br-wire/);
  for (const name of ['edge', 'other']) await vmRef.remove({ vm: name, force: true });
  for (const name of ['wire', 'switch']) await network.remove({ network: name });
  world.run('host', 'ip link del gone0; ip link del br7');
});

test('DHCP and DNS that somebody has ended are there again within seconds', { skip, timeout: 240_000 }, async () => {
  const vm = await host.client.run('tiny', { name: 'served' });
  const file = `${host.paths.network}/dns/default/pid`;
  const pid = Number(await readFile(file, 'utf8'));
  process.kill(pid, 'SIGKILL');
  await eventually('it has come back', async () => Number(await readFile(file, 'utf8').catch(() => pid)) !== pid);
  await eventually('it listens', async () => /:53 /.test(await inside('ss -Hlnu')));
  await vm.remove({ force: true });
});

test('a holder that was killed is made again out of what is left, and VMs keep their network', { skip }, async () => {
  const vm = await host.client.run('tiny', { name: 'kept' });
  const { pid } = JSON.parse(await readFile(`${host.paths.network}/holder.json`, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await host.client.run('tiny', { name: 'next' });
  assert.ok((await inside('ip -o link')).includes(`t${vm.id}0`), 'its tap is where the next one’s is');
  for (const name of ['kept', 'next']) await host.client.vm.remove({ vm: name, force: true });
});

test('a fork’s tap exists before the fork, and is removed when the fork fails', { skip }, async () => {
  const { id } = await host.client.run('tiny', { name: 'once' });
  const others = async () =>
    [...(await inside('ip -o link')).matchAll(/ (t[a-z0-9]{12}\d):/g)].map(([, tap]) => tap).filter((tap) => tap !== `t${id}0`);
  await host.kill();
  await host.start({ VIV_TEST_FAULT: 'vm.fork:take the snapshot:after:run:throw' });
  await refused(host.client.vm.fork({ vm: 'once', name: 'failed' }));
  await eventually('its tap is gone', async () => (await others()).length === 0);
  const [fork] = await host.client.vm.fork({ vm: 'once', name: 'made' });
  assert.deepEqual(await others(), [`t${fork?.id}0`]);
  for (const name of ['once', 'made']) await host.client.vm.remove({ vm: name, force: true });
});
