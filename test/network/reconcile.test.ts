// What other programs take from the host's side of the networks is given again, and what is in one network's way is in nobody else's. VMs are no
// more than a fake QEMU; the host is a namespace of the test's own.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { Dnsmasqs } from '../../src/network/dns/dnsmasq.ts';
import { networkProcesses, type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { type HostInWorld, hostInWorld } from './host-in-world.ts';
import { noWorld, type World } from './world.ts';

const skip = noWorld;
let world: World;
let host: TestHost;
let inside: HostInWorld['inside'];
let pretender: ChildProcess | undefined;

hostInWorld(
  (env) => testHost({ qemu: 'fake', env }),
  async (made) => {
    ({ world, host, inside } = made);
    // As another user's process may call itself, in the host's own network.
    await mkdir(host.paths.network, { recursive: true });
    const pipe = join(host.paths.network, 'hold');
    await writeFile(pipe, 'read -r line\n');
    for (const folder of [host.stateDirectory, host.paths.run, host.paths.network]) await chmod(folder, 0o755);
    pretender = world.start('host', [
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
      'bash',
      '-c',
      `exec -a cat bash ${pipe} < <(sleep 600)`,
    ]);
    await eventually('it is called so', async () => (await readFile(`/proc/${pretender?.pid}/cmdline`, 'latin1')) === `cat\0${pipe}\0`);
    world.run('host', 'ip link add name br-other type bridge');
    await host.start();
    await host.client.run('tiny', { name: 'web' });
  },
);

after(() => pretender?.kill('SIGKILL'));

test('a process that only calls itself what holds the networks is none', { skip }, async () => {
  assert.equal(pretender?.exitCode, null);
  assert.match(world.run('host', 'ip -br link'), /br-other/);
  assert.doesNotMatch(world.run('host', 'ip -br link'), /br-default/);
  assert.match(await inside('ip -br link'), /br-default/);
  pretender?.kill('SIGKILL');
});

test('rules, routes and forwarding that somebody has taken from the host are there again within seconds', { skip }, async () => {
  const rules = () => world.run('host', 'nft -s list ruleset');
  const routes = () => world.run('host', 'ip route; ip -6 route show table main | grep viv');
  const before = { rules: rules(), routes: routes() };
  const pair = () => world.run('host', 'ip -o link | grep -o "^[0-9]*: viv[0-9a-f]*"');
  const made = pair();
  assert.match(before.rules, /masquerade/);
  const [subnet = ''] = /^\S+(?= via .* dev viv)/m.exec(before.routes) ?? [];
  world.run('host', `nft flush ruleset; ip route del ${subnet}; echo 0 >/proc/sys/net/ipv4/ip_forward`);
  await inside('nft delete table bridge vivarium');
  await eventually('the rules are there', () => rules() === before.rules);
  await eventually('those that tell forged senders are, too', async () => /bridge vivarium/.test(await inside('nft list tables')));
  await eventually('the route is there', () => routes() === before.routes);
  assert.equal(pair(), made, 'the way out was not made anew for that');
  await eventually('the host forwards', () => world.run('host', 'cat /proc/sys/net/ipv4/ip_forward').trim() === '1');
});

test('an interface that cannot be a port is refused, or keeps its own network’s VMs from starting and no others', {
  skip,
}, async () => {
  const { network, vm } = host.client;
  const refused = (call: Promise<unknown>) =>
    call.then(
      () => assert.fail('it was not refused'),
      (error: VivError) => error,
    );
  world.run('host', 'ip tuntap add dev tun9 mode tun; ip link add name port type veth peer name other; ip link set port up');
  assert.match((await refused(network.create({ network: 'tunnel', kind: 'bridged', interface: 'tun9' }))).message, /not carry Ethernet/);
  await network.create({ network: 'lan', kind: 'bridged', interface: 'port' });
  await host.client.run('tiny', { name: 'edge', networks: ['lan', 'default'] });
  await host.client.vm.create({ image: 'tiny', name: 'later', networks: ['lan'] });
  world.run('host', 'ip link set port down');
  await eventually('it is told', async () => /which is down/.test((await network.show({ network: 'lan' })).problem ?? ''));
  world.run('host', 'ip link set port up');
  await eventually('it is told', async () => (await network.show({ network: 'lan' })).problem === null);
  world.run('host', 'ip link del port');
  assert.match((await refused(vm.start({ vm: 'later' }))).message, /does not have now/);
  world.run('host', 'ip tuntap add dev port mode tun');
  await eventually('it is told', async () => /Ethernet|does not have now/.test((await network.show({ network: 'lan' })).problem ?? ''));
  await host.client.run('tiny', { name: 'another' });
  await network.create({ network: 'late' });
  await host.client.nic.add({ vm: 'edge', network: 'late' });
  assert.match((await refused(vm.restart({ vm: 'edge', force: true }))).message, /port/);
  assert.equal((await vm.show({ vm: 'edge' })).state, 'running');
  for (const name of ['edge', 'another', 'later']) await vm.remove({ vm: name, force: true });
  for (const name of ['lan', 'late']) await network.remove({ network: name });
});

test('an interface is the uplink of one network only, also when two request it at once', { skip }, async () => {
  const { network } = host.client;
  world.run('host', 'ip link add name wanted type veth peer name unwanted');
  const asked = await Promise.allSettled(
    ['one', 'two', 'three'].map((name) => network.create({ network: name, kind: 'bridged', interface: 'wanted' })),
  );
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const { name, kind } of await network.list({})) if (kind === 'bridged') await network.remove({ network: name });
});

test('stopping leaves nothing behind, also where the holder of the namespace has ended', { skip }, async () => {
  await host.client.vm.remove({ vm: 'web', force: true });
  const { pid } = JSON.parse(await readFile(join(host.paths.network, 'holder.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await host.down();
  assert.deepEqual(await networkProcesses(host.paths.network), []);
  assert.doesNotMatch(world.run('host', 'nft list tables; ip -br link'), /viv/);
  assert.equal(world.run('host', 'cat /proc/sys/net/ipv4/ip_forward').trim(), '0');
  await host.start();
});

test('a dnsmasq that cannot be started keeps those that could from being forgotten', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-dns-'));
  const program = join(folder, 'program');
  // What it says of itself stands where dnsmasq's pid file would: beside its configuration.
  await writeFile(
    program,
    `#!/bin/bash\nconf=\${1#--conf-file=}\ncase "$conf" in */b/*) [ -e ${folder}/works ] || exit 5 ;; esac\nbash -c 'exec -a "$0" sleep 600' "$conf" >/dev/null 2>&1 &\necho $! >"\${conf%/*}/pid"\n`,
  );
  await chmod(program, 0o755);
  const dnsmasqs = new Dnsmasqs(join(folder, 'dns'), program);
  const files = (name: string) => [name, { config: name, hosts: '', reservations: '' }] as const;
  const desired = new Map([files('a'), files('b'), files('c')]);
  const { signal } = new AbortController();
  const pidOf = (name: string) => readFile(join(folder, 'dns', name, 'pid'), 'utf8');
  try {
    await dnsmasqs.apply(desired, ['env'], signal);
    assert.match(dnsmasqs.problemOf('b')?.message ?? '', /network b has no DHCP and DNS, because dnsmasq could not be started/);
    assert.equal(dnsmasqs.problemOf('a'), undefined);
    assert.equal(await dnsmasqs.areAlive(), false);
    const first = await pidOf('a');
    await writeFile(join(folder, 'works'), '');
    await dnsmasqs.apply(desired, ['env'], signal);
    assert.equal(await pidOf('a'), first);
    assert.equal(await dnsmasqs.areAlive(), true);
    assert.equal(dnsmasqs.problemOf('b'), undefined);
  } finally {
    await dnsmasqs.end();
    await rm(folder, { recursive: true });
  }
});
