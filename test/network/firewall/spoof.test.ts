// Forged frames, 10,000 of each kind, sent by a guest that owns its interface, and counted where they should never arrive.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { arp, frame, ip, neighbour, udp } from './frame.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, network, port } from './sample.ts';

const times = 10_000;
const evil = { mac: '52:54:00:00:00:0a', ip: '10.1.0.10', ip6: 'fd01::10', local: 'fe80::5054:ff:fe00:a' };
const victim = { mac: '52:54:00:00:00:0b', ip: '10.1.0.11', ip6: 'fd01::11', local: 'fe80::5054:ff:fe00:b' };
const gateway = { ip: '10.1.0.1', ip6: 'fd01::1', local: 'fe80::1' };
const everyone = 'ff:ff:ff:ff:ff:ff';
const nobody = '52:54:00:00:00:ee';
const mark = Buffer.from('forged frame mark');
const end = Buffer.from('the end of frames');

const model: FirewallModel = {
  ...empty,
  networks: [network('br0', { kind: 'isolated', subnets: ['10.1.0.0/24', 'fd01::/64'], gateways: [gateway.ip, gateway.ip6] })],
  ports: [
    port('evil', { network: 'br0', mac: evil.mac, addresses: [evil.ip, evil.ip6] }),
    port('victim', { network: 'br0', mac: victim.mac, addresses: [victim.ip, victim.ip6] }),
  ],
};

const data = udp(4000, 4000, mark);
const dhcp = (mac: string) =>
  Buffer.concat([
    Buffer.from('0101060000000001', 'hex'),
    Buffer.alloc(20),
    Buffer.from(mac.replaceAll(':', ''), 'hex'),
    Buffer.alloc(202),
    mark,
  ]);
const hopByHop = { kind: 0, header: Buffer.from('00050200000100'.slice(0, 14), 'hex') };
const marked = (payload: Buffer) => Buffer.concat([payload, Buffer.from([14, 3]), mark, Buffer.alloc(24 - 2 - mark.length)]);

const forged: Readonly<Record<string, string>> = {
  'another MAC': frame(victim.mac, nobody, 0x0800, ip(evil.ip, victim.ip, 17, data)),
  'a neighbour’s IPv4 address': frame(victim.mac, evil.mac, 0x0800, ip('10.1.0.12', victim.ip, 17, data)),
  'the gateway’s IPv4 address': frame(victim.mac, evil.mac, 0x0800, ip(gateway.ip, victim.ip, 17, data)),
  'a neighbour’s IPv6 address': frame(victim.mac, evil.mac, 0x86dd, ip('fd01::12', victim.ip6, 17, data)),
  'the gateway’s link-local address': frame(victim.mac, evil.mac, 0x86dd, ip(gateway.local, victim.local, 17, data)),
  'an ARP answer for the gateway': frame(
    victim.mac,
    evil.mac,
    0x0806,
    Buffer.concat([arp(2, { mac: evil.mac, ip: gateway.ip }, victim), mark]),
  ),
  'an ARP question that claims the gateway': frame(
    everyone,
    evil.mac,
    0x0806,
    Buffer.concat([arp(1, { mac: evil.mac, ip: gateway.ip }, { mac: everyone, ip: gateway.ip }), mark]),
  ),
  'ARP in the name of another MAC': frame(
    victim.mac,
    evil.mac,
    0x0806,
    Buffer.concat([arp(2, { mac: nobody, ip: evil.ip }, victim), mark]),
  ),
  'a neighbour advertisement for the gateway': frame(
    victim.mac,
    evil.mac,
    0x86dd,
    ip(evil.local, victim.local, 58, marked(neighbour(136, gateway.ip6, evil.mac))),
  ),
  'the same behind another header': frame(
    victim.mac,
    evil.mac,
    0x86dd,
    ip(evil.local, victim.local, 58, marked(neighbour(136, gateway.ip6, evil.mac)), [hopByHop]),
  ),
  'a neighbour’s address claimed while it is looked for': frame(
    '33:33:ff:00:00:11',
    evil.mac,
    0x86dd,
    ip('::', 'ff02::1:ff00:11', 58, marked(neighbour(135, victim.ip6, evil.mac)).fill(14, 24, 25)),
  ),
  'a router advertisement': frame(
    '33:33:00:00:00:01',
    evil.mac,
    0x86dd,
    ip(evil.local, 'ff02::1', 58, marked(Buffer.from('86000000400007080000000000000000', 'hex'))),
  ),
  'an IPv6 redirect': frame(
    victim.mac,
    evil.mac,
    0x86dd,
    ip(evil.local, victim.local, 58, marked(Buffer.concat([Buffer.from('8900000000000000', 'hex'), Buffer.alloc(32)]))),
  ),
  'an IPv4 redirect': frame(
    victim.mac,
    evil.mac,
    0x0800,
    ip(evil.ip, victim.ip, 1, Buffer.concat([Buffer.from('050100000a01000a', 'hex'), mark])),
  ),
  'an answer of a DHCP server': frame(everyone, evil.mac, 0x0800, ip(evil.ip, '255.255.255.255', 17, udp(67, 68, mark))),
  'an answer of a DHCPv6 server': frame(victim.mac, evil.mac, 0x86dd, ip(evil.local, victim.local, 17, udp(547, 546, mark))),
  'a DHCP request for another MAC': frame(everyone, evil.mac, 0x0800, ip('0.0.0.0', '255.255.255.255', 17, udp(68, 67, dhcp(nobody)))),
  'a kind of frame that is not IP': frame(victim.mac, evil.mac, 0x88cc, mark),
  'a VLAN tag': frame(victim.mac, evil.mac, 0x8100, Buffer.concat([Buffer.from('00010800', 'hex'), ip(gateway.ip, victim.ip, 17, data)])),
};

const right: Readonly<Record<string, string>> = {
  IPv4: frame(victim.mac, evil.mac, 0x0800, ip(evil.ip, victim.ip, 17, data)),
  IPv6: frame(victim.mac, evil.mac, 0x86dd, ip(evil.ip6, victim.ip6, 17, data)),
  ARP: frame(everyone, evil.mac, 0x0806, Buffer.concat([arp(1, evil, victim), mark])),
  'its own neighbour advertisement': frame(
    victim.mac,
    evil.mac,
    0x86dd,
    ip(evil.local, victim.local, 58, marked(neighbour(136, evil.ip6, evil.mac))),
  ),
  'a DHCP request': frame(everyone, evil.mac, 0x0800, ip('0.0.0.0', '255.255.255.255', 17, udp(68, 67, dhcp(evil.mac)))),
};

describe('forged frames', { skip: noLab }, () => {
  let lab: Lab;
  before(() => {
    lab = makeLab();
    lab.bridge('br0', [`${gateway.ip}/24`, `${gateway.ip6}/64`]);
    for (const [name, { mac, ip, ip6 }] of [
      ['evil', evil],
      ['victim', victim],
    ] as const) {
      lab.add(name, name, { mac, addresses: [`${ip}/24`, `${ip6}/64`], bridge: 'br0' });
    }
    lab.nft(rulesFor(model));
  });
  after(() => lab?.close());

  /** How many of them the victim got. */
  async function delivered(hex: string, count: number): Promise<number> {
    const counting = lab.start('victim', [lab.frames, 'count', 'eth0', mark.toString('hex'), end.toString('hex')]);
    assert.equal(await counting.line(), 'ready');
    lab.ok('evil', [lab.frames, 'send', 'eth0', `${count}`, hex]);
    lab.ok('evil', [
      lab.frames,
      'send',
      'eth0',
      '1',
      frame(victim.mac, evil.mac, 0x0800, ip(evil.ip, victim.ip, 17, udp(4000, 4000, end))),
    ]);
    return Number(await counting.line());
  }

  const counted = () => readCounters(model, lab.ok(null, ['nft', ...countersArguments])).get('evil')?.spoofedPackets ?? 0;

  for (const [kind, hex] of Object.entries(forged)) {
    test(`${kind}: none of ${times} arrives, each is counted`, async () => {
      const before = counted();
      assert.equal(await delivered(hex, times), 0);
      assert.equal(counted() - before, times);
    });
  }

  test('right frames of the same kinds arrive', async () => {
    for (const [kind, hex] of Object.entries(right)) assert.equal(await delivered(hex, 10), 10, kind);
  });

  test('a forged fragment is found when it is whole', async () => {
    const whole = ip(evil.local, victim.local, 58, marked(neighbour(136, gateway.ip6, evil.mac))).subarray(40);
    const piece = (from: number, to: number, more: number) =>
      frame(
        victim.mac,
        evil.mac,
        0x86dd,
        ip(
          evil.local,
          victim.local,
          44,
          Buffer.concat([Buffer.from([58, 0, from >> 8, (from & 0xf8) | more, 0, 0, 0, 7]), whole.subarray(from, to)]),
        ),
      );
    const counting = lab.start('victim', [lab.frames, 'count', 'eth0', mark.toString('hex').slice(0, 16), end.toString('hex')]);
    assert.equal(await counting.line(), 'ready');
    const before = counted();
    lab.ok('evil', [lab.frames, 'send', 'eth0', '1', piece(0, 8, 1), piece(8, whole.length, 0)]);
    lab.ok('evil', [
      lab.frames,
      'send',
      'eth0',
      '1',
      frame(victim.mac, evil.mac, 0x0800, ip(evil.ip, victim.ip, 17, udp(4000, 4000, end))),
    ]);
    assert.equal(Number(await counting.line()), 0);
    assert.equal(counted() - before, 1);
  });

  test('an interface that the model does not have gets nothing through', async () => {
    lab.add('stranger', 'stranger', { mac: nobody, addresses: ['10.1.0.99/24'], bridge: 'br0' });
    assert.notEqual(lab.run('stranger', ['ping', '-c1', '-W1', victim.ip]).status, 0);
  });

  test('a trunk’s frames with a tag pass under its own MAC, those without are as any other’s', async () => {
    lab.nft(rulesFor({ ...model, ports: model.ports.map((one) => ({ ...one, trunk: one.name === 'evil' })) }));
    const tag = forged['a VLAN tag'] ?? '';
    assert.equal(await delivered(tag, 10), 10);
    assert.equal(await delivered(tag.replace(evil.mac.replaceAll(':', ''), nobody.replaceAll(':', '')), 10), 0);
    for (const [kind, hex] of Object.entries(forged)) if (hex !== tag) assert.equal(await delivered(hex, 10), 0, kind);
    for (const [kind, hex] of Object.entries(right)) assert.equal(await delivered(hex, 10), 10, kind);
  });

  test('where the network does not guard, everything passes', async () => {
    lab.nft(rulesFor({ ...model, networks: model.networks.map((net) => ({ ...net, guarded: false })) }));
    for (const kind of ['another MAC', 'an ARP answer for the gateway', 'a kind of frame that is not IP', 'a router advertisement']) {
      assert.equal(await delivered(forged[kind] ?? '', 10), 10, kind);
    }
  });
});
