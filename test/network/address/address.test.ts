// Addresses, subnets and what is made of them: the arithmetic that nobody else does for us.
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultNicRules, parseNicWish } from '../../../src/contract/nic-spec.ts';
import { addressOf, contains, formatAddress, formatSubnet, fromMac, nth, overlap, subnetOf } from '../../../src/network/address/address.ts';
import { askedSubnet, checkFree, freeIpv4, freeIpv6 } from '../../../src/network/address/subnet.ts';
import { dnsFiles } from '../../../src/network/dns/dnsmasq-config.ts';
import { serversIn } from '../../../src/network/kernel/host-network.ts';
import { bridgeOf, isBridge, isTap, tapOf } from '../../../src/network/kernel/interface-names.ts';
import { defaultSettings } from '../../../src/network/model.ts';

test('an address that is written and read again is the same, and written as everybody does', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const { value } = addressOf(text);
      const written = formatAddress(6, value);
      assert.ok(isIPv6(written), written);
      assert.equal(addressOf(written).value, value);
      assert.equal(`[${written}]`, new URL(`http://[${text}]/`).hostname, text);
    }),
  );
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(formatAddress(4, addressOf(text).value), text)));
});

test('subnets overlap when they have an address in common', () => {
  const meets = (one: string, other: string) => overlap(subnetOf(one), subnetOf(other));
  assert.ok(meets('10.0.0.0/8', '10.200.3.0/24') && meets('10.1.2.0/24', '10.1.2.128/25') && meets('fd00::/16', 'fd00:1::/64'));
  assert.ok(!meets('10.1.2.0/24', '10.1.3.0/24') && !meets('10.0.0.0/8', 'fd00::/64'));
  assert.equal(formatSubnet(subnetOf('10.1.2.77/24')), '10.1.2.0/24');
  assert.equal(nth(subnetOf('10.1.2.0/24'), 1n), '10.1.2.1');
  assert.ok(contains(subnetOf('fd00::/64'), 'fd00::ffff') && !contains(subnetOf('fd00::/64'), 'fd00:0:0:1::'));
  assert.equal(fromMac(subnetOf('fd00::/64'), '52:54:00:12:34:56'), 'fd00::5054:ff:fe12:3456');
});

test('a state directory always gets the same free subnet, which overlaps no other', () => {
  const first = freeIpv4('home', 24, []);
  assert.deepEqual(freeIpv4('home', 24, []), first);
  const taken = Array.from({ length: 50 }, () => null).reduce<ReturnType<typeof subnetOf>[]>(
    (found) => [...found, freeIpv4('home', 24, found)],
    [],
  );
  assert.equal(taken.filter((one) => taken.some((other) => other !== one && overlap(one, other))).length, 0);
  const whole = freeIpv4('home', 24, [subnetOf('10.0.0.0/8'), subnetOf('172.16.0.0/12')]);
  assert.match(formatSubnet(whole), /^192\.168\./, 'where all of 10/8 is routed, another range');
  assert.throws(() => freeIpv4('home', 24, [subnetOf('0.0.0.0/0')]), { code: 'unsupported' });
  assert.notDeepEqual(freeIpv6('/one', 'a', []), freeIpv6('/other', 'a', []));
});

test('subnets that no VM could be in are refused with the reason', () => {
  for (const text of [
    '10.1.2.0',
    '10.1.2.0/31',
    '127.0.0.0/24',
    '224.0.0.0/24',
    '0.0.0.0/8',
    'fd00::/64',
    '10.1.2.0/33',
    'ten',
    '1.2.3/24',
  ])
    assert.throws(() => askedSubnet(text, 4), { code: 'invalid' }, text);
  for (const text of ['fd00::/48', 'fe80::/64', 'ff02::/64', '10.1.2.0/24', 'fd00::%eth0/64'])
    assert.throws(() => askedSubnet(text, 6), { code: 'invalid' }, text);
  assert.throws(
    () => checkFree(subnetOf('10.1.2.0/24'), [{ subnet: subnetOf('10.1.0.0/16'), what: 'which this host reaches through eth0' }]),
    /overlaps 10\.1\.0\.0\/16, which this host reaches through eth0/,
  );
});

test('names of interfaces are valid and unique', () => {
  assert.equal(bridgeOf('default'), 'br-default');
  const long = ['a'.repeat(63), `${'a'.repeat(62)}b`].map(bridgeOf);
  assert.equal(new Set(long).size, 2);
  for (const name of [...long, bridgeOf('default')]) assert.ok(name.length <= 15 && isBridge(name));
  assert.ok(isTap(tapOf('abcdefghjkmn', 'net12')) && !isTap('uplink') && !isTap('tap0') && tapOf('abcdefghjkmn', 'net12').length <= 15);
});

test('a NIC is asked for on one line', () => {
  assert.deepEqual(parseNicWish('back,mac=52:54:00:12:34:56,address=10.1.2.9,address=fd00::9,vlan=5,trunk=7+8'), {
    network: 'back',
    mac: '52:54:00:12:34:56',
    addresses: ['10.1.2.9', 'fd00::9'],
    vlan: 5,
    trunk: [7, 8],
    rules: defaultNicRules,
  });
  assert.deepEqual(parseNicWish('back,security-group=web+ssh,egress=debian.org+10.0.0.0/8,rate-in=10Mbit,rate-out=1MiB/128KiB').rules, {
    securityGroups: ['ssh', 'web'],
    egress: ['debian.org', '10.0.0.0/8'],
    rateIn: { bytesPerSecond: 1_250_000, burstBytes: null },
    rateOut: { bytesPerSecond: 2 ** 20, burstBytes: 131_072 },
  });
  for (const text of [
    'Back',
    'back,mac=1',
    'back,mac=53:54:00:12:34:56',
    'back,address=x',
    'back,vlan=4095',
    'back,speed=1',
    'back,security-group=A',
    'back,security-group=none+web',
    'back,egress=all+10.0.0.0/8',
    'back,egress=1.2.3',
    'back,rate-in=fast',
    'none,mac=52:54:00:12:34:56',
    '',
    'a b',
  ])
    assert.throws(() => parseNicWish(text), { code: 'invalid' }, text);
});

test('a dnsmasq gives each VM its own address, and one that is isolated gives no way out', () => {
  const network = {
    name: 'lab',
    bridge: 'br-lab',
    mac: '',
    ipv4: '10.1.2.1/24',
    ipv6: 'fd00::1/64',
    interface: null,
    ...defaultSettings,
  } as const;
  const port = {
    tap: 't',
    owner: 'o',
    network: 'lab',
    vm: 'web',
    mac: '52:54:00:12:34:56',
    ipv4: '10.1.2.9',
    ipv6: 'fd00::9',
    up: true,
    vlan: null,
    attached: true,
    pid: null,
    rules: defaultNicRules,
  } as const;
  const given = {
    ...({ folder: '/run/lab', servers: ['192.0.2.53'], user: ['nobody', 'nogroup'], domains: [] } as const),
    ...{ foreign: [], aside: new Set<string>() },
  };
  const nat = dnsFiles({ ...network, kind: 'nat' }, [port], given);
  assert.equal(nat.hosts, '10.1.2.9 web.lab.viv web\nfd00::9 web.lab.viv web\n');
  assert.equal(nat.reservations, '52:54:00:12:34:56,10.1.2.9,[fd00::9]\n');
  assert.match(nat.config, /^server=192\.0\.2\.53$/m);
  assert.doesNotMatch(nat.config, /option:router/);
  const db = { ...port, network: 'back', vm: 'db', ipv4: '10.1.3.9', ipv6: null };
  const both = dnsFiles({ ...network, kind: 'nat' }, [port], { ...given, foreign: [db, { ...db, vm: 'web' }] });
  assert.equal(both.hosts, `${nat.hosts}10.1.3.9 db.back.viv db\n10.1.3.9 web.back.viv\n`);
  const back = dnsFiles({ ...network, kind: 'isolated' }, [port], { ...given, aside: new Set([port.mac]) });
  assert.equal(back.reservations, '52:54:00:12:34:56,set:aside,10.1.2.9,[fd00::9]\n');
  assert.match(back.config, /^dhcp-option=tag:aside,option:dns-server$/m);
  assert.equal(back.config, dnsFiles({ ...network, kind: 'isolated' }, [port], given).config);
  const isolated = dnsFiles({ ...network, kind: 'isolated' }, [{ ...port, vm: null }], given);
  assert.equal(isolated.hosts, '');
  assert.doesNotMatch(isolated.config, /^server=/m);
  assert.match(isolated.config, /^dhcp-option=option:router$/m);
  assert.match(isolated.config, /^ra-param=br-lab,60,0$/m);
});

test('name servers that only the host itself reaches are not asked from inside', () => {
  assert.deepEqual(
    serversIn(
      '# x\nnameserver 127.0.0.53\nnameserver ::1\n nameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\nsearch nameserver\n',
    ),
    ['192.0.2.53', '2001:db8::53'],
  );
});
