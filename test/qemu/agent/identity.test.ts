// A fork gets its identity: the agent in a guest made of namespaces, and what a user of that guest sees afterwards.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { AgentConnection, IdentityRequest } from '../../../src/qemu/agent/channel.ts';
import { readIdentityResult } from '../../../src/qemu/agent/identity.ts';
import { identityArguments, identityInput, identityScript } from '../../../src/qemu/agent/identity-script.ts';
import { generateHostKeys } from '../../../src/vm/fork/ssh-host-keys.ts';
import { cannotBuild } from './build-agent.ts';
import { noSandbox, sandbox } from './sandbox.ts';
import { connectTo, openPort, startAgent } from './start-agent.ts';

const options = { skip: cannotBuild || noSandbox, timeout: 240_000 };
const parent = '52:54:00:aa:00:01';
const child = '52:54:00:bb:00:02';
const oldId = 'a'.repeat(32);

const files = {
  'etc/hostname': 'web\n',
  'etc/hosts': '127.0.0.1 localhost web\n# 127.0.1.1 web\n127.0.1.1\tweb.lan web # web\n10.0.0.9 web\n',
  'etc/machine-id': `${oldId}\n`,
  'etc/netplan/50-cloud-init.yaml': `match: {macaddress: "${parent.toUpperCase()}"}\n`,
  'etc/ssh/sshd_config': 'Port 22\n',
  'etc/ssh/ssh_host_ed25519_key': 'shared\n',
  'etc/ssh/ssh_host_ed25519_key.pub': 'shared\n',
  'etc/ssh/ssh_host_rsa_key': 'shared\n',
  'etc/ssh/ssh_host_rsa_key.pub': 'shared\n',
  'var/lib/dbus/machine-id': `${oldId}\n`,
};
const network = `hostname web
ip link add eth7 address ${parent} type veth peer name other
ip link set other up; ip link set eth7 up
ip addr add 10.9.0.5/24 dev eth7 valid_lft 600 preferred_lft 600
ip addr add 10.8.0.5/24 dev eth7`;

async function startGuest(
  t: TestContext,
  given: Record<string, string> = files,
  setup = network,
): Promise<{ agent: AgentConnection; folder: string }> {
  const port = await openPort(t);
  const folder = join(port.folder, 'root');
  port.startAgent(sandbox(folder, given, setup));
  return { agent: await connectTo(t, port), folder };
}

async function sh(agent: AgentConnection, script: string): Promise<string> {
  const channel = agent.exec({ command: ['sh', '-c', script], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  channel.stdin.end();
  const [out] = await Promise.all([text(channel.stdout), channel.ended]);
  return out;
}

test('a fork has its own host name, machine-id, address and SSH keys once it has answered', options, async (t) => {
  const before = hostname();
  const { agent, folder } = await startGuest(t);
  const sshKeys = await generateHostKeys('root@web-2');
  const machineId = randomBytes(16).toString('hex');
  const request: IdentityRequest = {
    seedBytes: randomBytes(64),
    timeMs: Date.now(),
    hostname: 'web-2',
    machineId,
    macs: [{ old: parent, new: child }],
    sshKeys,
  };
  const { done, skipped } = await agent.identity(request);
  // Only root may seed the kernel's random number generator.
  assert.deepEqual(
    done.filter((part) => part !== 'seed'),
    ['mac', 'hostname', 'machine-id', 'ssh-keys', 'time'],
  );
  assert.deepEqual(
    skipped.filter((reason) => !reason.startsWith('seed: ')),
    [],
  );
  assert.equal(await sh(agent, 'hostname; cat /etc/hostname'), 'web-2\nweb-2\n');
  assert.equal(
    await sh(agent, 'cat /etc/hosts'),
    '127.0.0.1 localhost web\n# 127.0.1.1 web\n127.0.1.1\tweb-2.lan web-2 # web\n10.0.0.9 web\n',
  );
  assert.equal(await sh(agent, 'cat /etc/machine-id /var/lib/dbus/machine-id'), `${machineId}\n${machineId}\n`);
  const link = await sh(agent, 'ip link show eth7; ip -o addr show eth7');
  assert.match(link, new RegExp(child));
  assert.match(link, /10\.8\.0\.5/, 'an address that was set by hand stays');
  assert.doesNotMatch(link, /10\.9\.0\.5/, 'an address with an end was the other VM’s');
  assert.doesNotMatch(link, /aaff:fe|ff:feaa:1/, 'nor does its IPv6 address stay');
  assert.match(await sh(agent, 'cat /etc/netplan/*'), new RegExp(child));
  const ssh = join(folder, 'etc/ssh');
  assert.deepEqual(readdirSync(ssh).sort(), [
    'ssh_host_ecdsa_key',
    'ssh_host_ecdsa_key.pub',
    'ssh_host_ed25519_key',
    'ssh_host_ed25519_key.pub',
    'sshd_config',
  ]);
  for (const { type, privateKey, publicKey } of sshKeys) {
    assert.equal(readFileSync(join(ssh, `ssh_host_${type}_key`), 'utf8'), privateKey);
    assert.equal(readFileSync(join(ssh, `ssh_host_${type}_key.pub`), 'utf8'), publicKey);
    assert.equal(statSync(join(ssh, `ssh_host_${type}_key`)).mode & 0o777, 0o600);
    assert.equal(statSync(join(ssh, `ssh_host_${type}_key.pub`)).mode & 0o777, 0o644);
  }
  assert.deepEqual((await agent.identity(request)).done, done, 'asked once more it is the same');
  assert.equal(hostname(), before);
});

test('programs with the old keys reload, and those with the old lease restart', options, async (t) => {
  const program = (signal: string) =>
    `#!/bin/sh\ntrap 'echo ${signal} >>/run/told' ${signal}\n[ $# = 0 ] && echo $$ >/run/sshd.pid\necho up >>/run/up\nwhile :; do sleep 0.05; done\n`;
  const programs = { 'etc/prog/sshd': program('HUP'), 'etc/prog/udhcpc': program('USR1') };
  const start = `(/etc/prog/sshd & /etc/prog/udhcpc -i eth7 &) 2>/dev/null; until [ "$(wc -l </run/up)" = 2 ]; do sleep 0.05; done 2>/dev/null`;
  const { agent } = await startGuest(t, { ...files, ...programs }, `${network}\n${start}`);
  const sshKeys = await generateHostKeys('');
  const { done } = await agent.identity({ macs: [{ old: parent, new: child }], sshKeys });
  assert.deepEqual(done, ['mac', 'ssh-keys']);
  assert.doesNotMatch(await sh(agent, 'ip -o -4 addr show eth7'), /10\./, 'busybox’ client sets addresses without an end');
  assert.equal(
    await sh(agent, 'until grep -q HUP /run/told && [ "$(wc -l </run/up)" = 3 ]; do sleep 0.05; done 2>/dev/null; echo told'),
    'told\n',
  );
});

test('a fork with assigned IP addresses has them immediately, with the attributes of the old ones', options, async (t) => {
  const { agent } = await startGuest(
    t,
    files,
    `${network}
ip addr del 10.9.0.5/24 dev eth7
ip addr add 10.9.0.5/24 brd + dev eth7 valid_lft 600 preferred_lft 600
ip -6 addr add fd09::5054:ff:feaa:1/64 dev eth7 nodad valid_lft 600 preferred_lft 500
ip -6 addr add fd10::5/64 dev eth7 nodad valid_lft 600 preferred_lft 600
ip route add default via 10.9.0.1 dev eth7 proto dhcp metric 100 src 10.9.0.5
ip route add 10.77.0.0/16 via 10.9.0.2 dev eth7
ip -6 route add default via fe80::1 dev eth7 proto ra metric 1024
until ip -6 addr show dev eth7 scope link | grep inet6 | grep -qv tentative; do sleep 0.05; done`,
  );
  const before = (await sh(agent, 'ip -4 route; ip -6 route')).replace(/ expires [^ ]*| fd10.*\n/g, '');
  const addresses = ['10.9.0.6/24', 'fd09::5054:ff:febb:2/64'];
  const macs = [{ old: parent, new: child, addresses }];
  assert.deepEqual(await agent.identity({ macs }), { done: ['mac'], skipped: [] });
  const shown = await sh(agent, 'ip -o addr show dev eth7');
  for (const part of [
    '10.9.0.6/24 brd 10.9.0.255 scope global',
    'fd09::5054:ff:febb:2/64 scope global',
    'fe80::5054:ff:febb:2/64',
    '10.8.0.5/24',
  ])
    assert.ok(shown.includes(` ${part} `), `${part} in ${shown}`);
  assert.doesNotMatch(shown, /tentative|10\.9\.0\.5|feaa:1|fd10/);
  assert.match(shown, /febb:2\/64 scope global [^\n]*valid_lft [56]\d\dsec/, 'the router’s lifetime goes on');
  const sorted = (text: string) => text.trim().split(/\s*\n/).sort();
  const now = (await sh(agent, 'ip -4 route; ip -6 route')).replace(/ expires [^ ]*/g, '');
  assert.deepEqual(sorted(now), sorted(before.replaceAll('10.9.0.5', '10.9.0.6')));
  // And the fork of the fork, whose client keeps its address without a lifetime: the routes show that it was leased.
  await sh(agent, 'ip addr change 10.9.0.6/24 brd + dev eth7 valid_lft forever preferred_lft forever');
  const again = { old: child, new: '52:54:00:cc:00:03', addresses: ['10.9.0.7/24', 'fd09::5054:ff:fecc:3/64'] };
  assert.deepEqual(await agent.identity({ macs: [again] }), { done: ['mac'], skipped: [] });
  const third = await sh(agent, 'ip -o addr show dev eth7; ip route');
  assert.ok(third.includes(' 10.9.0.7/24 ') && third.includes('fecc:3/64 scope global'), third);
  assert.match(third, /default via 10\.9\.0\.1 dev eth7 proto dhcp src 10\.9\.0\.7 metric 100/);
  assert.doesNotMatch(third, /10\.9\.0\.6|febb:2|tentative/);
});

test('the guest assigns itself an address in a subnet where it had none', options, async (t) => {
  const { agent } = await startGuest(
    t,
    {},
    `ip link add eth7 address ${parent} type veth peer name eth8; ip addr add 10.1.0.5/24 dev eth7`,
  );
  const macs = [{ old: parent, new: child, addresses: ['10.9.0.6/24'] }];
  assert.deepEqual(await agent.identity({ macs }), { done: ['mac'], skipped: [] });
  assert.match(await sh(agent, 'ip -4 -o addr show dev eth7'), /^[^\n]*10\.1\.0\.5\/24[^\n]*\n$/);
});

test('udhcpc asks for a lease of its own, and removes no address before', options, async (t) => {
  const client = `#!/bin/sh
echo udhcpc >/proc/$$/comm
script=/etc/udhcpc/default.script
while [ $# -gt 0 ]; do [ "$1" = -s ] && script=$2; shift; done
for word in deconfig bound; do $script $word; done
while :; do sleep 0.05; done
`;
  const programs = { 'etc/prog/udhcpc': client, 'etc/udhcpc/default.script': '#!/bin/sh\necho "$1" >>/run/words\n' };
  const words = (count: number) => `until [ "$(wc -l </run/words)" = ${count} ]; do sleep 0.05; done 2>/dev/null`;
  const start = `ip addr add 10.9.0.5/24 dev eth7; /etc/prog/udhcpc -i eth7 & ${words(2)}`;
  const { agent } = await startGuest(t, { ...files, ...programs }, `ip link add eth7 address ${parent} type veth peer name eth8\n${start}`);
  await agent.identity({ macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24'] }] });
  assert.equal(await sh(agent, `${words(3)}; cat /run/words`), 'deconfig\nbound\nbound\n');
  await agent.identity({ macs: [{ old: child, new: parent, addresses: ['10.9.0.7/24'] }] });
  assert.equal(await sh(agent, `${words(4)}; cat /run/words`), 'deconfig\nbound\nbound\nbound\n');
  assert.match(await sh(agent, 'ip -4 -o addr show dev eth7'), /10\.9\.0\.7\/24/);
  await agent.identity({ macs: [{ old: parent, new: child }] });
  assert.equal(await sh(agent, `${words(6)}; tail -n 2 /run/words`), 'deconfig\nbound\n', 'it has no address to keep');
});

test('dhclient asks for the fork’s own address, and not for the one that it remembers', options, async (t) => {
  const client = `#!/bin/sh
echo dhclient >/proc/$$/comm
grep fixed-address "$2" | tail -n 1 >>/run/asked
while :; do sleep 0.05; done
`;
  const lease = (address: string, note: string) =>
    `lease {\n  interface "eth7";\n  fixed-address ${address};\n  option routers 10.9.0.5; # ${note}\n}\n`;
  const old = lease('10.9.0.50', 'fixed-address 10.9.0.5') + lease('10.9.0.5', 'once') + lease('10.9.0.5', 'again');
  const { agent } = await startGuest(
    t,
    { ...files, 'etc/prog/dhclient': client, 'var/lib/dhcp/eth7.leases': old },
    `ip link add eth7 address ${parent} type veth peer name eth8; ip addr add 10.9.0.5/24 dev eth7 valid_lft 600 preferred_lft 600
/etc/prog/dhclient -lf /var/lib/dhcp/eth7.leases eth7 & until [ -s /run/asked ]; do sleep 0.05; done`,
  );
  await agent.identity({ macs: [{ old: parent, new: child, addresses: ['10.9.0.123/24'] }] });
  const asked = await sh(agent, 'until [ "$(wc -l </run/asked)" = 2 ]; do sleep 0.05; done; cat /run/asked');
  assert.equal(asked, '  fixed-address 10.9.0.5;\n  fixed-address 10.9.0.123;\n');
  const now = lease('10.9.0.50', 'fixed-address 10.9.0.5') + lease('10.9.0.123', 'once') + lease('10.9.0.123', 'again');
  assert.equal(await sh(agent, 'cat /var/lib/dhcp/eth7.leases'), now);
});

test('NetworkManager remembers the fork’s own address', options, async (t) => {
  const given = {
    'etc/prog/NetworkManager': '#!/bin/sh\nwhile :; do sleep 0.05; done\n',
    'var/lib/NetworkManager/internal-one-eth7.lease': '# This is private data. Do not parse.\nADDRESS=10.9.0.5\n',
    'var/lib/NetworkManager/timestamps': 'ADDRESS=10.9.0.5\n',
  };
  const { agent } = await startGuest(
    t,
    { ...files, ...given },
    `ip link add eth7 address ${parent} type veth peer name eth8; ip addr add 10.9.0.5/24 dev eth7 valid_lft 600 preferred_lft 600
/etc/prog/NetworkManager &`,
  );
  await agent.identity({ macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24'] }] });
  const leases = 'cd /var/lib/NetworkManager; until grep -q 10.9.0.6 *.lease; do sleep 0.05; done; cat *.lease timestamps';
  assert.equal(await sh(agent, leases), '# This is private data. Do not parse.\nADDRESS=10.9.0.6\nADDRESS=10.9.0.5\n');
});

test('systemd-networkd keeps the address, still knows its interface, and is not left stopped', options, async (t) => {
  const daemon = '#!/bin/sh\nwhile :; do sleep 0.05; done\n';
  const unit = '/run/systemd/network/10-one.network';
  const given = { 'etc/prog/systemd-network': daemon, [unit.slice(1)]: `[Match]\nPermanentMACAddress=${parent}\nMACAddress=${parent}\n` };
  const { agent } = await startGuest(
    t,
    { ...files, ...given },
    `ip link add eth7 address ${parent} type veth peer name eth8; ip addr add 10.9.0.5/24 dev eth7 valid_lft 600 preferred_lft 600
ip link set eth8 up; ip link set eth7 up; ip -6 addr add fd09::5054:ff:feaa:1/64 dev eth7 nodad valid_lft 600 preferred_lft 500
until ip -6 addr show dev eth7 scope link | grep inet6 | grep -qv tentative; do sleep 0.05; done; ip -6 route add default via fe80::1 dev eth7 proto ra metric 100; ip -6 route add fd77::/64 via fe80::2 dev eth7 metric 50
mkdir -p /run/systemd/netif/links; printf 'ADMIN_STATE=configured\nNETWORK_FILE=${unit}\n' >/run/systemd/netif/links/$(cat /sys/class/net/eth7/ifindex)
/etc/prog/systemd-network & echo $! >/run/pid`,
  );
  const standing = 'grep -q "^State:.T" /proc/$(cat /run/pid)/status';
  await sh(agent, `(until ${standing}; do sleep 0.01; done; touch /run/stood) >/dev/null 2>&1 </dev/null &`);
  await agent.identity({ macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24', 'fd09::5054:ff:febb:2/64'] }] });
  assert.equal(await sh(agent, 'for turn in $(seq 1000); do [ -e /run/stood ] && echo stood && exit; sleep 0.05; done'), 'stood\n');
  // There is no systemd here to restart it.
  assert.equal(
    await sh(agent, `while ${standing}; do sleep 0.05; done; cat ${unit}.d/*`),
    '# Vivarium assigns a VM its addresses for life.\n[Network]\nKeepConfiguration=dhcp\n',
  );
  // The routes of the router hold while networkd learns them again: it removes its own routes, not the kernel's.
  const routes = await sh(agent, 'ip -6 -details route show default; ip -6 route show fd77::/64');
  assert.match(routes, /default via fe80::1 dev eth7 proto ra [^\n]*metric 100 /);
  assert.match(routes, /default via fe80::1 dev eth7 proto kernel [^\n]*metric 1000100 expires [56]\dsec/);
  assert.equal(routes.match(/fd77/g)?.length, 1, 'only what a router said');
  assert.equal(await sh(agent, `cat ${unit}`), `[Match]\nPermanentMACAddress=${parent}\nMACAddress=${child}\n`);
});

test('the answer does not wait for programs that restart in the background', options, async (t) => {
  const systemctl = '#!/bin/sh\nuntil [ -e /run/go ]; do sleep 0.05; done\necho "$*" >>/run/told\n';
  const setup = `${network}\nmkdir -p /run/systemd/system; mount -t tmpfs tmpfs /usr/local/sbin; cp /etc/prog/systemctl /usr/local/sbin/systemctl`;
  const { agent } = await startGuest(t, { ...files, 'etc/prog/systemctl': systemctl }, setup);
  const { done } = await agent.identity({ hostname: 'web-2', machineId: '1'.repeat(32), macs: [{ old: parent, new: child }] });
  assert.deepEqual(done.toSorted(), ['hostname', 'mac', 'machine-id']);
  const told = 'touch /run/go; until grep -q journald /run/told 2>/dev/null; do sleep 0.05; done; cat /run/told';
  assert.match(await sh(agent, told), /restart systemd-journald.service/);
});

test('what a guest cannot do is reported, and the rest is done', options, async (t) => {
  const { agent } = await startGuest(t, {}, 'hostname web');
  const { done, skipped } = await agent.identity({
    hostname: 'web-3',
    machineId: '1'.repeat(32),
    macs: [{ old: parent, new: child }],
    sshKeys: await generateHostKeys(''),
  });
  assert.deepEqual(done, ['hostname']);
  assert.deepEqual(skipped.toSorted(), [
    `mac: no interface with the address ${parent}: the guest has none`,
    'machine-id: the guest has none',
    'ssh-keys: the guest has none',
  ]);
  assert.equal(await sh(agent, 'hostname'), 'web-3\n');
});

test('a read-only file system is reported, and no partial file stays', options, async (t) => {
  const { agent } = await startGuest(t, files, 'hostname web; mount -o remount,bind,ro /etc');
  const { done, skipped } = await agent.identity({ hostname: 'web-4', machineId: '1'.repeat(32), sshKeys: await generateHostKeys('') });
  assert.deepEqual(done, []);
  assert.equal(skipped.filter((reason) => /Read-only file system/.test(reason)).length, 3, skipped.join('\n'));
  assert.equal(await sh(agent, 'ls /etc /etc/ssh | grep -c new; cat /etc/machine-id'), `0\n${oldId}\n`);
});

test('an interface that appears late under the old address gets the new one', options, async (t) => {
  const { agent } = await startGuest(t, {}, '');
  const { done, skipped } = await agent.identity({ macs: [{ old: parent, new: child }] });
  assert.deepEqual({ done, skipped }, { done: [], skipped: [`mac: no interface with the address ${parent}: the guest has none`] });
  await sh(agent, `ip link add eth7 address ${parent} type veth peer name eth8`);
  const changed = `for turn in $(seq 1000); do ip -o link show eth7 | grep -o ${child} && exit; sleep 0.05; done`;
  assert.equal(await sh(agent, changed), `${child}\n`);
});

test('where the driver of a NIC is still initializing, its interface has the new address before the answer', options, async (t) => {
  const nic = '/sys/bus/pci/devices/0000:00:02.0';
  const { agent } = await startGuest(t, {}, `mkdir -p ${nic}/virtio0 && echo 0x020000 >${nic}/class`);
  const appears = `sleep 1; ip link add eth7 address ${parent} type veth peer name eth8; mkdir ${nic}/virtio0/net`;
  await sh(agent, `(${appears}) >/dev/null 2>&1 </dev/null &`);
  assert.deepEqual(await agent.identity({ macs: [{ old: parent, new: child }] }), { done: ['mac'], skipped: [] });
  assert.match(await sh(agent, 'ip -o link show eth7'), new RegExp(child));
});

test('an interface that is alone in its network keeps its leased addresses', options, async (t) => {
  const { agent } = await startGuest(
    t,
    {},
    `ip link add eth7 address ${parent} type veth peer name eth8; ip addr add 10.9.8.7/24 dev eth7 valid_lft 600 preferred_lft 600`,
  );
  assert.deepEqual(await agent.identity({ macs: [{ old: parent, new: child, keepAddresses: true }] }), { done: ['mac'], skipped: [] });
  assert.match(await sh(agent, 'ip -o link show eth7; ip -o addr show eth7'), new RegExp(`${child}[^]*10[.]9[.]8[.]7/24`));
});

test('two interfaces may swap their addresses', options, async (t) => {
  const { agent } = await startGuest(t, {}, `ip link add eth8 address ${parent} type veth peer name eth9 address ${child}`);
  const { done } = await agent.identity({
    macs: [
      { old: parent, new: child },
      { old: child, new: parent },
    ],
  });
  assert.deepEqual(done, ['mac']);
  const links = await sh(agent, 'ip -o link');
  assert.match(links, new RegExp(`eth8.* ${child} `));
  assert.match(links, new RegExp(`eth9.* ${parent} `));
});

test('outside of a sandbox the agent under test changes nothing', { skip: cannotBuild, timeout: 120_000 }, async (t) => {
  const before = hostname();
  const { agent } = await startAgent(t);
  assert.deepEqual(await agent.identity({ hostname: 'other', machineId: '1'.repeat(32) }), {
    done: [],
    skipped: ['all: this is not a guest'],
  });
  assert.equal(hostname(), before);
});

test('a malformed identity is refused before anything is sent', { skip: cannotBuild, timeout: 120_000 }, async (t) => {
  const { agent } = await startAgent(t);
  const [key] = await generateHostKeys('');
  assert.ok(key);
  const wrong: IdentityRequest[] = [
    { seedBytes: Buffer.alloc(31) },
    { timeMs: -1 },
    { hostname: '-web' },
    { hostname: 'web\0service=exec' },
    { hostname: 'a'.repeat(65) },
    { machineId: '../../etc/passwd' },
    { machineId: '0'.repeat(32) },
    { macs: [{ old: parent, new: 'ff:ff:ff:ff:ff:ff' }] },
    { macs: [{ old: '1=2', new: child }] },
    { macs: [{ old: parent, new: child, addresses: ['10.9.0.6'] }] },
    { macs: [{ old: parent, new: child, addresses: ['10.9.0.6/33'] }] },
    { macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24 service=exec'] }] },
    { macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24', '10.9.0.7/24'] }] },
    { macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24'], keepAddresses: true }] },
    { sshKeys: [{ ...key, type: '../x' as 'rsa' }] },
    { sshKeys: [key, key] },
  ];
  for (const request of wrong) await assert.rejects(agent.identity(request), { code: 'invalid' }, JSON.stringify(request));
});

test('the guest refuses an invalid key with a reason', { skip: cannotBuild, timeout: 120_000 }, async (t) => {
  const { agent } = await startAgent(t);
  const [key] = await generateHostKeys('');
  assert.ok(key);
  for (const sshKeys of [
    [{ ...key, privateKey: 'x\n' }],
    [{ ...key, publicKey: 'ssh-rsa AAAA\n' }],
    [{ ...key, publicKey: `${key.publicKey}x\n` }],
  ])
    await assert.rejects(agent.identity({ sshKeys }), {
      code: 'guest_failed',
      message: /cannot apply its identity: an SSH host key must be given as TYPE PRIVATE PUBLIC/,
    });
});

test('a guest with only qemu-guest-agent gets what a script can do, and no secret as an argument', {
  ...options,
  skip: noSandbox,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-script-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { command } = sandbox(
    folder,
    files,
    `${network}\nip route add default via 10.9.0.1 dev eth7 proto dhcp src 10.9.0.5 metric 100\nmount --bind /dev/null /dev/urandom`,
  );
  const sshKeys = await generateHostKeys('');
  const request = {
    hostname: 'web-5',
    machineId: '2'.repeat(32),
    macs: [{ old: parent, new: child, addresses: ['10.9.0.6/24', 'fd09::6/64'] }],
    sshKeys,
    seedBytes: randomBytes(32),
  };
  const [program = '', ...words] = [
    ...command,
    'sh',
    '-c',
    `${identityScript}\ncat /proc/sys/kernel/hostname; ip -o addr show eth7; ip link show eth7; ip route`,
  ];
  const input = identityInput(request);
  const { stdout, stderr } = spawnSync(program, [...words, 'identity', ...identityArguments(request)], {
    input,
    encoding: 'utf8',
    timeout: 120_000,
  });
  const { done, skipped } = readIdentityResult(stdout);
  assert.deepEqual(done, ['mac', 'hostname', 'machine-id', 'ssh-keys'], stderr);
  assert.match(skipped.join(), /^seed: it is added, but/);
  assert.match(stdout, /\nweb-5\n/);
  assert.match(stdout, new RegExp(child));
  assert.doesNotMatch(stdout, /10\.9\.0\.5|fd09/, 'it had none in IPv6');
  assert.match(stdout, / 10\.9\.0\.6\/24 .* dynamic eth7/);
  assert.match(stdout, /default via 10\.9\.0\.1 dev eth7 proto dhcp metric 100/);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  assert.equal(read('etc/hostname'), 'web-5\n');
  assert.match(read('etc/hosts'), /^127\.0\.1\.1 web\.lan web-5 # web/m);
  assert.equal(read('var/lib/dbus/machine-id'), `${request.machineId}\n`);
  assert.equal(read('etc/ssh/ssh_host_ed25519_key'), sshKeys[0]?.privateKey);
  assert.equal(statSync(join(folder, 'etc/ssh/ssh_host_ed25519_key')).mode & 0o777, 0o600);
  assert.ok(!readdirSync(join(folder, 'etc/ssh')).includes('ssh_host_rsa_key'));
  for (const word of identityArguments(request)) assert.doesNotMatch(word, /PRIVATE|[0-9a-f]{64}/);
});
