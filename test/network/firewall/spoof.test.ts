// Forged frames, 10,000 of each kind, sent by a guest that owns its interface, and counted where they should never arrive.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { end, framesOf, mark, marked, nobody } from './forged.ts';
import { frame, ip, neighbour } from './frame.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, network, port } from './sample.ts';

const times = 10_000;
const evil = { mac: '52:54:00:00:00:0a', ip: '10.1.0.10', ip6: 'fd01::10', local: 'fe80::5054:ff:fe00:a' };
const victim = { mac: '52:54:00:00:00:0b', ip: '10.1.0.11', ip6: 'fd01::11', local: 'fe80::5054:ff:fe00:b' };
const gateway = { ip: '10.1.0.1', ip6: 'fd01::1', local: 'fe80::1' };

const model: FirewallModel = {
  ...empty,
  networks: [network('br0', { kind: 'isolated', subnets: ['10.1.0.0/24', 'fd01::/64'], gateways: [gateway.ip, gateway.ip6] })],
  ports: [
    port('evil', { network: 'br0', mac: evil.mac, addresses: [evil.ip, evil.ip6] }),
    port('victim', { network: 'br0', mac: victim.mac, addresses: [victim.ip, victim.ip6] }),
  ],
};

const { forged, right, last } = framesOf({ evil, victim, gateway, other: { ip: '10.1.0.12', ip6: 'fd01::12' } });

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
    lab.ok('evil', [lab.frames, 'send', 'eth0', '1', last]);
    return Number(await counting.line());
  }

  const counted = () =>
    readCounters(
      model,
      countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
    ).get('evil')?.spoofedPackets ?? 0;

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
    lab.ok('evil', [lab.frames, 'send', 'eth0', '1', last]);
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
    lab.nft(rulesFor({ ...model, networks: model.networks.map((net) => ({ ...net, spoofing: 'allow' as const })) }));
    for (const kind of ['another MAC', 'an ARP answer for the gateway', 'a kind of frame that is not IP', 'a router advertisement']) {
      assert.equal(await delivered(forged[kind] ?? '', 10), 10, kind);
    }
  });
});
