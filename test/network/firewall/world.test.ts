// Networks of every kind, the host and the world beyond it, with real packets. "outside" is a namespace that is both the host (192.168.77.1) and the
// world behind it (198.51.100.7); it has routes to everything, so what does not arrive was refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { frame, ip, udp } from './frame.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, group, network, port } from './sample.ts';

const host = { four: '192.168.77.1', six: 'fd77::1' };
const world = { four: '198.51.100.7', six: '2001:db8::7' };
const uplink = { four: '192.168.77.2', six: 'fd77::2' };
/** A service of the host's network, such as a cloud's metadata. */
const linkLocal = '169.254.169.254';
const nets = { inner: 'nat', other: 'nat', alone: 'isolated', public: 'routed' } as const;
const guests = { a: 'inner', b: 'inner', c: 'other', d: 'alone', e: 'public' } as const;
type Guest = keyof typeof guests;

const subnetOf = (net: string) => Object.keys(nets).indexOf(net) + 30;
const four = (guest: Guest) => `10.${subnetOf(guests[guest])}.0.${guest.charCodeAt(0)}`;
const six = (guest: Guest) => `fd${subnetOf(guests[guest])}::${guest.charCodeAt(0).toString(16)}`;
const mac = (guest: Guest) => `52:54:00:00:03:${guest.charCodeAt(0).toString(16)}`;

const model: FirewallModel = {
  ...empty,
  uplink: { interface: 'up', hostAddresses: [host.four, host.six] },
  networks: Object.entries(nets).map(([name, kind]) =>
    network(name, {
      kind,
      subnets: [`10.${subnetOf(name)}.0.0/24`, `fd${subnetOf(name)}::/64`],
      gateways: [`10.${subnetOf(name)}.0.1`, `fd${subnetOf(name)}::1`],
    }),
  ),
  ports: (Object.keys(guests) as Guest[]).map((guest) =>
    port(guest, { network: guests[guest], mac: mac(guest), addresses: [four(guest), six(guest)] }),
  ),
};

describe('networks and the world', { skip: noLab }, () => {
  let lab: Lab;
  before(async () => {
    lab = makeLab();
    for (const net of Object.keys(nets)) lab.bridge(net, [`10.${subnetOf(net)}.0.1/24`, `fd${subnetOf(net)}::1/64`]);
    for (const guest of Object.keys(guests) as Guest[]) {
      const base = subnetOf(guests[guest]);
      lab.add(guest, guest, {
        mac: mac(guest),
        addresses: [`${four(guest)}/24`, `${six(guest)}/64`],
        bridge: guests[guest],
        gateways: [`10.${base}.0.1`, `fd${base}::1`],
      });
    }
    lab.add('outside', 'up', { mac: '52:54:00:00:03:01', addresses: [`${host.four}/24`, `${host.six}/64`] });
    lab.ip(null, [
      `addr add ${uplink.four}/24 dev up`,
      `addr add ${uplink.six}/64 dev up nodad`,
      `route add default via ${host.four}`,
      `route add default via ${host.six}`,
    ]);
    lab.ip('outside', [`addr add ${linkLocal}/32 dev lo`, `addr add ${world.four}/32 dev lo`, `addr add ${world.six}/128 dev lo nodad`]);
    from(world);
    lab.nft(rulesFor(model));
    const servers = (['a', 'c', 'e', 'outside', null] as const).flatMap((where) =>
      ['tcp', 'udp'].map((protocol) => lab.start(where, [lab.frames, 'serve', protocol, '5000', '5020'])),
    );
    servers.push(lab.start(null, [lab.frames, 'serve', 'udp', '53', '53']));
    for (const server of servers) assert.equal(await server.line(), 'ready');
  });
  after(() => lab?.close());

  /** Who the outside is when it speaks first. */
  function from(who: typeof host): void {
    lab.ip('outside', [
      ...Object.keys(nets).flatMap((net) => [
        `route replace 10.${subnetOf(net)}.0.0/24 via ${uplink.four} src ${who.four}`,
        `route replace fd${subnetOf(net)}::/64 via ${uplink.six} src ${who.six}`,
      ]),
    ]);
  }

  /** What the server says: its port, and who it believes asked. null when there is no answer. */
  function ask(where: string | null, protocol: 'tcp' | 'udp', to: string, number: number, ms = 30_000): string | null {
    const { status, stdout } = lab.run(where, [lab.frames, 'ask', protocol, to, `${number}`, `${ms}`]);
    return status === 0 ? stdout.trim() : null;
  }
  /** The same for what should not be answered: it is not waited for as long. */
  const none = (where: string | null, protocol: 'tcp' | 'udp', to: string, number: number) => ask(where, protocol, to, number, 200);
  const counted = (guest: Guest) =>
    readCounters(
      model,
      countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
    ).get(guest);

  test('nat networks reach the world by the uplink’s address, routed ones by their own, isolated ones not', () => {
    assert.equal(ask('a', 'tcp', world.four, 5000), `5000 ${uplink.four}`);
    assert.equal(ask('a', 'tcp', world.six, 5001), `5001 ${uplink.six}`);
    assert.equal(ask('e', 'tcp', world.four, 5000), `5000 ${four('e')}`);
    assert.equal(ask('e', 'tcp', world.six, 5000), `5000 ${six('e')}`);
    assert.deepEqual([none('d', 'tcp', world.four, 5000), none('d', 'udp', world.six, 5000)], [null, null]);
  });

  test('link-local addresses of the host’s network are reached only from a network that allows it', () => {
    const before = counted('a')?.droppedOutPackets ?? 0;
    assert.deepEqual([none('a', 'tcp', linkLocal, 5000), none('e', 'udp', linkLocal, 5000)], [null, null]);
    assert.ok((counted('a')?.droppedOutPackets ?? 0) > before, 'it is counted');
    const allowing = model.networks.map((net) => (net.name === 'inner' ? { ...net, linkLocal: 'allow' as const } : net));
    lab.nft(rulesFor({ ...model, networks: allowing }));
    assert.equal(ask('a', 'tcp', linkLocal, 5000), `5000 ${uplink.four}`);
    assert.equal(none('c', 'tcp', linkLocal, 5000), null);
    lab.nft(rulesFor(model));
  });

  test('the world reaches routed networks only, the host nat networks too', () => {
    assert.deepEqual(
      [ask('outside', 'tcp', four('e'), 5000), ask('outside', 'tcp', six('e'), 5000)],
      [`5000 ${world.four}`, `5000 ${world.six}`],
    );
    assert.deepEqual([none('outside', 'tcp', four('a'), 5000), none('outside', 'udp', six('a'), 5000)], [null, null]);
    from(host);
    assert.deepEqual(
      [ask('outside', 'tcp', four('a'), 5000), ask('outside', 'udp', six('a'), 5000)],
      [`5000 ${host.four}`, `5000 ${host.six}`],
    );
    from(world);
  });

  test('networks do not reach each other, unless one is routed; neighbours do', () => {
    assert.equal(ask('b', 'tcp', four('a'), 5000), `5000 ${four('b')}`);
    assert.deepEqual(
      [
        none('a', 'tcp', four('c'), 5000),
        none('a', 'udp', six('c'), 5000),
        none('e', 'tcp', four('a'), 5000),
        none('d', 'tcp', four('a'), 5000),
      ],
      [null, null, null, null],
    );
    assert.equal(ask('a', 'tcp', four('e'), 5000), `5000 ${four('a')}`);
    assert.ok((counted('a')?.droppedOutPackets ?? 0) >= 2);
  });

  test('guests never reach the host: neither its addresses nor the namespace, but for DNS at their own gateway', () => {
    for (const guest of ['a', 'd', 'e'] as const) {
      const before = counted(guest)?.droppedOutPackets ?? 0;
      const gateway = `10.${subnetOf(guests[guest])}.0.1`;
      for (const address of [host.four, host.six, uplink.four, gateway])
        assert.equal(none(guest, 'tcp', address, 5000), null, `${guest} to ${address}`);
      assert.ok((counted(guest)?.droppedOutPackets ?? 0) - before >= 4);
      assert.equal(ask(guest, 'udp', gateway, 53), `53 ${four(guest)}`);
      assert.equal(lab.run(guest, ['ping', '-c1', '-W30', gateway]).status, 0);
    }
    assert.equal(none('a', 'udp', `10.${subnetOf('other')}.0.1`, 53), null, 'not even DNS at another network’s');
    assert.equal(none('outside', 'tcp', uplink.four, 5000), null, 'nor does the world reach the namespace');
  });

  test('a rule opens one service of the host to one network', () => {
    lab.nft(
      rulesFor({ ...model, hostAccess: [{ network: 'inner', protocol: 'tcp', ports: { from: 5003, to: 5004 }, address: host.four }] }),
    );
    assert.equal(ask('a', 'tcp', host.four, 5003), `5003 ${uplink.four}`);
    assert.deepEqual(
      [
        none('a', 'tcp', host.four, 5005),
        none('a', 'udp', host.four, 5003),
        none('c', 'tcp', host.four, 5003),
        none('a', 'tcp', host.six, 5003),
      ],
      [null, null, null, null],
    );
  });

  test('who may not send cannot answer what it never received', async () => {
    const [mark, end] = [Buffer.from('a mark'), Buffer.from('the end of it')];
    const hardware = (where: string | null, iface: string) => lab.ok(where, ['cat', `/sys/class/net/${iface}/address`]).trim();
    const ends = {
      up: hardware(null, 'up'),
      outside: hardware('outside', 'eth0'),
      public: hardware(null, 'public'),
      inner: hardware(null, 'inner'),
    };
    const send = (where: string, hex: string) => lab.ok(where, [lab.frames, 'send', 'eth0', '5', hex]);
    async function answered(knock: number): Promise<string> {
      const counting = lab.start('outside', [lab.frames, 'count', 'eth0', mark.toString('hex'), end.toString('hex')]);
      assert.equal(await counting.line(), 'ready');
      send('outside', frame(ends.up, ends.outside, 0x0800, ip(world.four, four('e'), 17, udp(knock, 7001, Buffer.from('hello')))));
      send('e', frame(ends.public, mac('e'), 0x0800, ip(four('e'), world.four, 17, udp(7001, knock, mark))));
      send('a', frame(ends.inner, mac('a'), 0x0800, ip(four('a'), world.four, 17, udp(1, 2, end))));
      return counting.line();
    }
    lab.nft(rulesFor(model));
    assert.equal(await answered(7000), '5', 'while it may');
    const groups = [group('sealed', { otherwise: { in: 'deny', out: 'deny' } })];
    lab.nft(rulesFor({ ...model, groups, ports: model.ports.map((each) => (each.name === 'e' ? { ...each, groups: ['sealed'] } : each)) }));
    assert.equal(await answered(7002), '0');
  });
});
