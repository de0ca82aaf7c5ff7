// Security groups with real packets: what passes between VMs of one network, and what a change does to connections that are open.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import type { FirewallModel, GroupRule, SecurityGroup } from '../../../src/network/firewall/model.ts';
import { digestArguments, digestOf, planFor, readDigest, rulesFor, rulesInSteps } from '../../../src/network/firewall/rules.ts';
import { specimen } from '../../../src/network/firewall/specimen.ts';
import { bridgeTrackingProbe, brNetfilterFile, trackingFrom } from '../../../src/network/firewall/tracking.ts';
import { eventually } from '../../eventually.ts';
import { type Lab, makeLab, noLab, type Running } from './lab.ts';
import { empty, group, large, network, port } from './sample.ts';

const guests = ['web', 'db', 'odd'];
const at = (name: string) => guests.indexOf(name) + 10;
const four = (name: string) => `10.2.0.${at(name)}`;
const six = (name: string) => `fd02::${at(name)}`;
const mac = (name: string) => `52:54:00:00:02:${at(name)}`;

const tcp = (from: number, to: number, remote: GroupRule['remote']): GroupRule => ({
  direction: 'in',
  protocol: 'tcp',
  ports: { from, to },
  remote,
});
const any = { kind: 'any' } as const;

/** `db` is closed but for what the rules say; `web` is in the group "front". */
function modelWith(
  rules: readonly GroupRule[],
  more: readonly SecurityGroup[] = [],
  of: Readonly<Record<string, readonly string[]>> = {},
): FirewallModel {
  return {
    ...empty,
    networks: [network('br0', { kind: 'isolated', subnets: ['10.2.0.0/24', 'fd02::/64'], gateways: ['10.2.0.1', 'fd02::1'] })],
    groups: [group('data', { rules }), group('front', { otherwise: { in: 'allow', out: 'allow' } }), ...more],
    ports: guests.map((name) =>
      port(name, {
        network: 'br0',
        mac: mac(name),
        addresses: [four(name), six(name)],
        groups: of[name] ?? { web: ['front'], db: ['data'] }[name] ?? [],
      }),
    ),
  };
}

describe('security groups', { skip: noLab }, () => {
  let lab: Lab;
  let servers: Running[] = [];
  let applied: FirewallModel | null = null;

  /** As the daemon does it: the least that has to change. */
  function apply(model: FirewallModel): string {
    const present = digestArguments.map((args) => lab.run(null, ['nft', ...args]).stdout);
    const { kind, script } = planFor(model, applied, readDigest(present));
    if (script !== '') lab.nft(script);
    applied = model;
    return kind;
  }

  before(async () => {
    lab = makeLab();
    lab.bridge('br0', ['10.2.0.1/24', 'fd02::1/64']);
    for (const name of guests)
      lab.add(name, name, {
        mac: mac(name),
        addresses: [`${four(name)}/24`, `${six(name)}/64`],
        bridge: 'br0',
        gateways: ['10.2.0.1', 'fd02::1'],
      });
    servers = [
      lab.start('db', [lab.frames, 'serve', 'tcp', '5000', '5010']),
      lab.start('db', [lab.frames, 'serve', 'udp', '5000', '5001']),
    ];
    for (const server of servers) assert.equal(await server.line(), 'ready');
  });
  after(() => lab?.close());

  const asks = (from: string, protocol: string, to: string, number: number, ms = 30_000) =>
    lab.run(from, [lab.frames, 'ask', protocol, to, `${number}`, `${ms}`]).status === 0;
  const pings = (from: string, to: string, seconds = 30) => lab.run(from, ['ping', '-c1', `-W${seconds}`, to]).status === 0;

  // what should not be answered is not waited for as long
  const notAsked = (from: string, protocol: string, to: string, number: number) => asks(from, protocol, to, number, 200);
  const notPinged = (from: string, to: string) => pings(from, to, 0.2);

  test('without a rule nothing reaches a closed VM, and it reaches everybody', async () => {
    apply(modelWith([]));
    assert.deepEqual(
      [
        notAsked('web', 'tcp', four('db'), 5000),
        notAsked('web', 'udp', six('db'), 5000),
        notPinged('web', four('db')),
        notPinged('web', six('db')),
      ],
      [false, false, false, false],
    );
    assert.deepEqual([pings('db', four('web')), pings('db', six('web'))], [true, true]);
  });

  test('a port range for one security group admits only that group', () => {
    apply(modelWith([tcp(5000, 5005, { kind: 'group', group: 'front' })]));
    assert.deepEqual([asks('web', 'tcp', four('db'), 5000), asks('web', 'tcp', six('db'), 5005)], [true, true]);
    assert.deepEqual(
      [notAsked('web', 'tcp', four('db'), 5006), notAsked('odd', 'tcp', four('db'), 5000), notAsked('odd', 'tcp', six('db'), 5000)],
      [false, false, false],
    );
  });

  test('a VM, an address range and ICMP are remotes and protocols too', () => {
    apply(
      modelWith([
        tcp(5000, 5000, { kind: 'vm', vm: 'odd' }),
        tcp(5001, 5001, { kind: 'cidr', cidr: `${four('web')}/32` }),
        { direction: 'in', protocol: 'icmp', remote: any },
      ]),
    );
    assert.deepEqual(
      [asks('odd', 'tcp', six('db'), 5000), asks('web', 'tcp', four('db'), 5001), pings('web', six('db')), pings('odd', four('db'))],
      [true, true, true, true],
    );
    assert.deepEqual(
      [notAsked('web', 'tcp', four('db'), 5000), notAsked('odd', 'tcp', four('db'), 5001), notAsked('web', 'tcp', six('db'), 5001)],
      [false, false, false],
    );
  });

  test('a group may close the way out; answers still leave', () => {
    const shut = group('shut', {
      otherwise: { in: 'allow', out: 'deny' },
      rules: [{ direction: 'out', protocol: 'tcp', ports: { from: 5000, to: 5000 }, remote: { kind: 'vm', vm: 'db' } }],
    });
    apply(modelWith([tcp(5000, 5010, any)], [shut], { odd: ['shut'], db: ['data'] }));
    assert.deepEqual(
      [asks('odd', 'tcp', four('db'), 5000), asks('odd', 'tcp', six('db'), 5000), pings('web', four('odd'))],
      [true, true, true],
    );
    assert.deepEqual(
      [notAsked('odd', 'tcp', four('db'), 5001), notPinged('odd', four('web')), notPinged('odd', six('web'))],
      [false, false, false],
    );
  });

  test('what is refused does not become a connection by the refused one’s own packet', async () => {
    // db may not send out; web asks from a fixed port and is refused; db then "answers" what it never got
    const sealed = modelWith([], [], {});
    apply({ ...sealed, groups: [group('data', { otherwise: { in: 'deny', out: 'deny' } }), ...sealed.groups.slice(1)] });
    assert.equal(notAsked('web', 'udp', four('db'), 5000), false);
    assert.equal(notAsked('db', 'udp', four('web'), 5000), false);
  });

  test('refused packets are counted for the port that is protected', async () => {
    const before = readCounters(
      applied ?? empty,
      countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
    ).get('db');
    for (let time = 0; time < 3; time++) lab.run('web', [lab.frames, 'ask', 'udp', four('db'), '5001', '1']);
    await eventually('they are counted', () => {
      const now = readCounters(
        applied ?? empty,
        countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
      ).get('db');
      assert.equal((now?.droppedInPackets ?? 0) - (before?.droppedInPackets ?? 0), 3);
      assert.ok((now?.droppedInBytes ?? 0) > (before?.droppedInBytes ?? 0));
    });
  });

  test('an open connection outlives the rule that allowed it, changes of others and a full replacement', async () => {
    apply(modelWith([tcp(5000, 5000, any)]));
    const held = lab.start('web', [lab.frames, 'hold', four('db'), '5000']);
    assert.equal(await held.line(), 'ready');
    for (const change of [modelWith([tcp(5000, 5001, any)]), modelWith([])]) {
      assert.equal(apply(change), 'change');
      held.write('again\n');
      assert.equal(await held.line(), `5000 ${four('web')}`);
    }
    lab.nft(rulesFor(modelWith([])));
    held.write('again\n');
    assert.equal(await held.line(), `5000 ${four('web')}`);
    assert.equal(notAsked('web', 'tcp', four('db'), 5000), false, 'but no new one is made');
    held.stop();
  });

  test('while rules change there is no moment in which a wanted packet is lost or a refused one passes', async () => {
    const model = (last: number): FirewallModel =>
      modelWith([{ direction: 'in', protocol: 'udp', ports: { from: 5000, to: 5000 }, remote: any }, tcp(6000, last, any)]);
    apply(model(6000));
    const begun = performance.now();
    for (const last of [6001, 6000]) apply(model(last));
    // So slowly that some 20 changes are made meanwhile, however long one takes here.
    const gap = `${Math.round(Math.min(20_000, Math.max(2000, ((performance.now() - begun) / 2) * 50)))}`;
    const desired = lab.start('web', [lab.frames, 'knock', four('db'), '5000', '400', gap, '30000']);
    const refused = lab.start('odd', [lab.frames, 'knock', six('db'), '5001', '400', gap, '300']);
    const answers = Promise.all([desired.line(), refused.line()]);
    let changes = 0;
    let done = false;
    void answers.then(() => {
      done = true;
    });
    while (!done && changes < 200) {
      changes++;
      if (changes % 2 === 0) lab.nft(rulesFor(model(6000 + changes)));
      else apply(model(6000 + changes));
      applied = null;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await answers, ['400', '0']);
    assert.ok(changes >= 10, `only ${changes} changes were made meanwhile`);
  });

  test('the detected kind of connection tracking works on this kernel', () => {
    const brNetfilter = lab.run(null, ['cat', brNetfilterFile]).status === 0;
    const bridge = lab.run(null, ['nft', '--check', '--file', '-'], bridgeTrackingProbe).status === 0;
    const model = { ...modelWith([tcp(5000, 5003, any)]), tracking: trackingFrom({ brNetfilter, bridge }) };
    lab.nft(rulesFor(model));
    assert.ok(asks('web', 'tcp', four('db'), 5000));
    if (!bridge)
      assert.equal(lab.run(null, ['nft', '-f', '-'], rulesFor({ ...model, tracking: 'bridge' })).status, 1, 'and the other is refused');
  });

  test('the kernel takes a model that has something of everything', () => {
    lab.nft(rulesFor({ ...specimen, tracking: 'br_netfilter' }));
    applied = null;
  });

  test('nothing is done where nothing differs; what differs is what is sent', () => {
    applied = null;
    assert.equal(apply(modelWith([tcp(5000, 5000, any)])), 'replace');
    assert.equal(apply(modelWith([tcp(5000, 5000, any)])), 'nothing');
    const script = planFor(modelWith([tcp(5000, 5001, any)]), applied, digestOf(modelWith([tcp(5000, 5000, any)]))).script;
    assert.ok(script.split('\n').length < 15, script);
  });

  test('a change and a replacement give the same rules, on 20 networks with 100 NICs', () => {
    const listed = () => {
      const text = lab.ok(null, ['nft', 'list', 'ruleset']).replaceAll(/packets \d+ bytes \d+/g, '');
      return text
        .split(/[\n,{}]/)
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .sort();
    };
    const first = large(20, 100);
    const second: FirewallModel = {
      ...first,
      networks: first.networks.map((net, index) => (index === 3 ? { ...net, kind: 'routed', spoofing: 'allow' } : net)),
      ports: first.ports
        .slice(5)
        .map((each, index) => (index % 7 === 0 ? { ...each, groups: ['group 1'], mac: each.mac.replace('52:54:00', '52:54:01') } : each)),
      groups: first.groups.map((each, index) => (index === 2 ? { ...each, rules: each.rules.slice(1) } : each)),
    };
    for (const step of rulesInSteps(first)) lab.nft(step);
    const { kind, script } = planFor(second, first, digestOf(first));
    assert.equal(kind, 'change');
    lab.nft(script);
    const changed = listed();
    for (const step of rulesInSteps(second)) lab.nft(step);
    const replaced = listed();
    assert.equal(
      changed.find((part, index) => part !== replaced[index]),
      undefined,
    );
    assert.equal(changed.length, replaced.length);
  });
});
