// What a user gives never becomes nftables' language: names are digests, addresses are written anew, and everything else is refused with a reason.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { address, linkLocal, subnet } from '../../../src/network/firewall/address.ts';
import { readCounters } from '../../../src/network/firewall/counters.ts';
import { assertNamesCanBePinned, domainLines } from '../../../src/network/firewall/egress.ts';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { trackingFrom } from '../../../src/network/firewall/tracking.ts';
import { parseFlows } from '../../../src/network/flow/nflog.ts';
import { empty, group, large, network, port } from './sample.ts';

const hostile = [
  'x; flush ruleset',
  'a" } ; delete table inet vivarium ; {',
  'line\nadd rule',
  '$(id)',
  '@set',
  '10.0.0.1, 0.0.0.0/0',
  '../..',
  '',
  '\0',
  '“x”',
  'x'.repeat(500),
];

const model: FirewallModel = {
  ...empty,
  uplink: { interface: 'up', hostAddresses: ['192.0.2.1'] },
  networks: [network('br0', { subnets: ['10.0.0.0/24'], gateways: ['10.0.0.1'] })],
  ports: [port('tap0', { network: 'br0', addresses: ['10.0.0.2'] })],
};

describe('rules', () => {
  test('hostile names leave no trace in a script', () => {
    for (const name of hostile) {
      const plain = JSON.stringify(name).slice(1, -1);
      const some = rulesFor({
        ...model,
        networks: model.networks.map((net) => ({ ...net, name: `n${name}` })),
        groups: [
          group(name, {
            rules: [
              { direction: 'in', protocol: 'tcp', remote: { kind: 'group', group: `${name}2` } },
              { direction: 'in', protocol: 'any', remote: { kind: 'vm', vm: name } },
            ],
          }),
        ],
        ports: [port('tap0', { name: `p${name}`, vm: name, network: `n${name}`, groups: [name], addresses: ['10.0.0.2'] })],
      });
      if (name.length > 3) assert.ok(!some.includes(name) && !some.includes(plain), name);
      assert.match(some, /^[\x20-\x7e\n]+$/);
    }
  });

  test('hostile interfaces, addresses, MACs, domains and ports are refused', () => {
    const refuses = (some: Partial<FirewallModel>, why: string) =>
      assert.throws(() => rulesFor({ ...model, ...some }), { code: 'invalid' }, why);
    const portWith = (some: object) => ({ ports: model.ports.map((each) => ({ ...each, ...some })) });
    for (const text of hostile) {
      refuses(portWith({ interface: text }), `interface ${text}`);
      refuses(portWith({ mac: text }), `MAC ${text}`);
      refuses(portWith({ addresses: [text] }), `address ${text}`);
      refuses(portWith({ egress: { kind: 'listed', cidrs: [text], domains: [] } }), `CIDR ${text}`);
      if (!text.includes('“')) refuses(portWith({ egress: { kind: 'listed', cidrs: [], domains: [text] } }), `domain ${text}`); // that one is a name
      refuses({ networks: [network('br0', { bridge: text })] }, `bridge ${text}`);
      refuses({ networks: [network('br0', { subnets: [text] })] }, `subnet ${text}`);
      refuses({ networks: [network('br0', { gateways: [text] })] }, `gateway ${text}`);
      refuses({ uplink: { interface: text, hostAddresses: [] } }, `uplink ${text}`);
      refuses({ uplink: { interface: 'up', hostAddresses: [text] } }, `host ${text}`);
      const remote = { kind: 'cidr', cidr: text } as const;
      refuses({ groups: [group('nobody is in it', { rules: [{ direction: 'in', protocol: 'tcp', remote }] })] }, `remote ${text}`);
      refuses(
        { ...portWith({ groups: ['g'] }), groups: [group('g', { rules: [{ direction: 'in', protocol: 'tcp', remote }] })] },
        `remote ${text}`,
      );
    }
    for (const [from, to] of [
      [0, 1],
      [2, 1],
      [1, 65_536],
      [1.5, 2],
      [Number.NaN, 1],
    ] as const) {
      refuses(
        {
          groups: [
            group('nobody is in it', { rules: [{ direction: 'in', protocol: 'tcp', ports: { from, to }, remote: { kind: 'any' } }] }),
          ],
        },
        `ports ${from} to ${to}`,
      );
    }
  });

  test('what does not fit together is refused: unknown networks and groups, the same address, interface or name twice', () => {
    const refuses = (some: Partial<FirewallModel>, message: RegExp) => assert.throws(() => rulesFor({ ...model, ...some }), message);
    refuses({ ports: [port('tap0', { network: 'elsewhere' })] }, /network "elsewhere", which does not exist/);
    refuses({ ports: [port('tap0', { network: 'br0', groups: ['nobody'] })] }, /security group "nobody", which does not exist/);
    const two = (some: object) => ({ ports: [...model.ports, port('tap1', { network: 'br0', addresses: ['10.0.0.3'], ...some })] });
    refuses(two({ addresses: ['10.0.0.2'] }), /address .* twice/);
    refuses({ hostAccess: [{ network: 'elsewhere', protocol: 'tcp', ports: { from: 1, to: 1 } }] }, /network "elsewhere"/);
    refuses(two({ interface: 'tap0' }), /interface .* twice/);
    refuses(two({ name: 'tap0' }), /port .* twice/);
  });

  test('addresses have one text', () => {
    for (const text of ['fe80::1', 'FE80:0:0:0:0:0:0:1', 'fe80::0:1', 'fe80::0.0.0.1'])
      assert.equal(address(text, 'it').text, 'fe80:0:0:0:0:0:0:1');
    assert.equal(address('::ffff:1.2.3.4', 'it').text, '0:0:0:0:0:ffff:102:304');
    assert.equal(subnet('10.1.2.3/12', 'it').text, '10.0.0.0/12');
    assert.equal(subnet('fd00:0:0:ffff::1/49', 'it').text, 'fd00:0:0:8000:0:0:0:0/49');
    assert.equal(linkLocal('52:54:00:12:34:56').text, 'fe80:0:0:0:5054:ff:fe12:3456');
    for (const text of ['1.2.3', '1.2.3.4.5', 'fe80::1%eth0', '52:54:00:12:34:56', '1.2.3.4/33', '::/129', '1.2.3.4/-1', '1.2.3.4/ 8'])
      assert.throws(() => subnet(text, 'it'), { code: 'invalid' }, text);
  });

  test('each domain is in dnsmasq’s configuration once, in its syntax', () => {
    const domains = ['Example.ORG.', 'example.org', 'bücher.example', '_srv.example.org'];
    const lines = domainLines(model.ports.map((each) => ({ ...each, egress: { kind: 'listed', cidrs: [], domains } })));
    assert.deepEqual(
      lines.slice(2).map((line) => line.split('/')[1]),
      ['_srv.example.org', 'example.org', 'xn--bcher-kva.example'],
    );
    assert.deepEqual(domainLines(model.ports), []);
    assert.throws(() => assertNamesCanBePinned('Compile time options: IPv6 no-nftset auth'), { code: 'unsupported' });
  });

  test('counts are summed over both tables, by the ports’ names, however nft writes an address', () => {
    const set = (name: string, counts: Record<string, number>) =>
      JSON.stringify({
        nftables: [
          { metainfo: { version: '1' } },
          {
            set: {
              ...{ family: 'inet', name, table: 'vivarium', type: 'ifname' },
              elem: Object.entries(counts).map(([val, packets]) => ({ elem: { val, counter: { packets, bytes: packets * 10 } } })),
            },
          },
        ],
      });
    const both = { ...model, ports: model.ports.map((each) => ({ ...each, addresses: ['10.0.0.2', 'fd00:0:0:0:0::2'] })) };
    const read = readCounters(both, [
      set('count_in', { tap0: 2, tap1: 50 }),
      set('count_in_4', { '10.0.0.2': 3, '10.0.0.3': 70 }),
      set('count_in_6', { 'fd00::2': 4 }),
      set('count_spoofed', { tap0: 1 }),
      set('count_out', {}),
    ]);
    assert.deepEqual(read.get('tap0'), {
      spoofedPackets: 1,
      spoofedBytes: 10,
      droppedOutPackets: 0,
      droppedOutBytes: 0,
      droppedInPackets: 9,
      droppedInBytes: 90,
    });
    assert.throws(() => readCounters(model, ['{"nftables":[{"set":{"name":"count_in","elem":[{"elem":{"val":"tap0"}}]}}]}']));
  });

  test('a flow log in pieces is read, and anything else is refused', async () => {
    const header = Buffer.from('d4c3b2a1020004000000000000000000000004 00ef000000'.replace(' ', ''), 'hex');
    const prefix = Buffer.from('0f000a007669762061636365707400 00'.replace(' ', ''), 'hex');
    const body = Buffer.concat([
      Buffer.from('07000001', 'hex'),
      Buffer.from('0800010008000000', 'hex'),
      prefix,
      Buffer.from('18000900', 'hex'),
      Buffer.from('4500001c00000000401100000a0000020a000003', 'hex'),
    ]);
    const record = Buffer.concat([
      Buffer.from('0100000040420f00', 'hex').fill(0, 4),
      Buffer.from([body.length, 0, 0, 0, body.length, 0, 0, 0]),
      body,
    ]);
    const all = Buffer.concat([header, record, record]);
    const flows = [];
    for await (const flow of parseFlows(pieces(all, 7))) flows.push(flow);
    assert.deepEqual(
      flows.map(({ verdict, protocol, source, target, at }) => [verdict, protocol, source, target, at]),
      [1, 2].map(() => ['accept', 'udp', '10.0.0.2', '10.0.0.3', 1000]),
    );
    await assert.rejects(async () => {
      for await (const _ of parseFlows(pieces(Buffer.alloc(100), 10)));
    }, /not a capture/);
  });

  test('a kernel that follows connections in neither way is named as what it is', () => {
    assert.equal(trackingFrom({ brNetfilter: true, bridge: true }), 'br_netfilter');
    assert.equal(trackingFrom({ brNetfilter: false, bridge: true }), 'bridge');
    assert.throws(() => trackingFrom({ brNetfilter: false, bridge: false }), { code: 'unsupported' });
    assert.match(rulesFor({ ...model, tracking: 'bridge' }), /add rule bridge vivarium outbound ct state established/);
    assert.doesNotMatch(rulesFor(model), /bridge vivarium outbound ct state/);
  });

  test('200 networks with 1,000 NICs are written in well under a second, and linearly', () => {
    /** The shortest of some: the others are those in which this VM did something else as well. */
    const time = (networks: number, ports: number) => {
      const some = large(networks, ports);
      const times = Array.from({ length: 5 }, () => {
        const before = performance.now();
        rulesFor(some);
        return performance.now() - before;
      });
      return Math.min(...times);
    };
    time(50, 250);
    const [half, whole] = [time(101, 505), time(200, 1000)];
    assert.ok(whole < 800, `${whole} ms`);
    assert.ok(whole < half * 6 + 50, `${half} ms and ${whole} ms`);
  });
});

async function* pieces(all: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < all.length; from += size) yield all.subarray(from, from + size);
}
