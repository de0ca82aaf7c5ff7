// Limits with real packets: what passes in a second, both ways, and what two ports get of a network that is full.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FirewallModel, FirewallPort } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { appliedLimits, limitsFor } from '../../../src/network/firewall/shaping/limits.ts';
import { eventually } from '../../eventually.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, network, port } from './sample.ts';

const second = 1000;
const slow = 1_000_000;
const mac = (name: string) => `52:54:00:00:04:0${name}`;
const four = (name: string) => `10.4.0.1${name}`;

function modelWith(some: Partial<FirewallPort>, capacityBytesPerSecond?: number): FirewallModel {
  return {
    ...empty,
    uplink: { interface: 'up', hostAddresses: [] },
    networks: [
      network('br0', {
        kind: 'routed',
        subnets: ['10.4.0.0/24'],
        gateways: ['10.4.0.1'],
        ...(capacityBytesPerSecond ? { capacityBytesPerSecond } : {}),
      }),
    ],
    ports: ['1', '2'].map((name) =>
      port(`port${name}`, { network: 'br0', mac: mac(name), addresses: [four(name)], ...(name === '1' ? some : {}) }),
    ),
  };
}

describe('limits', { skip: noLab }, () => {
  let lab: Lab;
  before(async () => {
    lab = makeLab();
    lab.bridge('br0', ['10.4.0.1/24']);
    for (const name of ['1', '2'])
      lab.add(`guest${name}`, `port${name}`, { mac: mac(name), addresses: [`${four(name)}/24`], bridge: 'br0', gateways: ['10.4.0.1'] });
    lab.add('outside', 'up', { mac: mac('9'), addresses: ['192.168.78.1/24'] });
    lab.ip(null, ['addr add 192.168.78.2/24 dev up']);
    lab.ip('outside', ['route add 10.4.0.0/24 via 192.168.78.2']);
    for (const where of ['guest1', 'guest2', 'outside'])
      assert.equal(await lab.start(where, [lab.frames, 'serve', 'tcp', '5000', '5000']).line(), 'ready');
  });
  after(() => lab?.close());

  function apply(model: FirewallModel): void {
    lab.nft(rulesFor(model));
    // As a daemon that has just come back does it: from what the kernel has.
    const {
      undoQueues,
      undoLinks,
      links,
      queues,
      after: desired,
    } = limitsFor(model, appliedLimits(lab.ok(null, ['tc', '-json', 'qdisc', 'show'])));
    lab.run(null, ['tc', '-force', '-batch', '-'], undoQueues);
    lab.run(null, ['ip', '-force', '-batch', '-'], undoLinks);
    lab.ok(null, ['ip', '-batch', '-'], links);
    lab.ok(null, ['tc', '-batch', '-'], queues);
    assert.deepEqual([...limitsFor(model, desired).queues], []);
  }
  /** Bytes a second. */
  async function pump(from: string, to: string, ms: number): Promise<number> {
    return (Number(await lab.start(from, [lab.frames, 'pump', to, '5000', `${ms}`]).line()) / ms) * second;
  }
  function near(rate: number, desired: number): void {
    assert.ok(rate > desired * 0.5 && rate < desired * 1.25, `${Math.round(rate)} bytes/s, wanted ${desired}`);
  }
  /** Measured again where this VM was busy with other things meanwhile. */
  const measured = (check: () => Promise<void>) => eventually('the limits are what was measured', check);

  test('each direction of a NIC has its own', async () => {
    apply(modelWith({ toGuest: { bytesPerSecond: slow }, fromGuest: { bytesPerSecond: slow * 2 } }));
    await measured(async () => near(await pump('guest2', four('1'), second), slow));
    await measured(async () => near(await pump('guest1', four('2'), second), slow * 2));
  });

  test('correct limits are not changed by a later reconciliation', () => {
    const now = appliedLimits(lab.ok(null, ['tc', '-json', 'qdisc', 'show']));
    const { undoQueues, undoLinks, links, queues } = limitsFor(
      modelWith({ toGuest: { bytesPerSecond: slow }, fromGuest: { bytesPerSecond: slow * 2 } }),
      now,
    );
    assert.deepEqual([undoQueues, undoLinks, links, queues], ['', '', '', '']);
  });

  test('a changed limit holds at once, a burst passes faster, and none is none again', async () => {
    apply(modelWith({ fromGuest: { bytesPerSecond: slow } }));
    await measured(async () => assert.ok((await pump('guest2', four('1'), 300)) > slow * 3, 'the other direction has none'));
    await measured(async () => {
      apply(modelWith({ fromGuest: { bytesPerSecond: slow } }));
      apply(modelWith({ fromGuest: { bytesPerSecond: slow, burstBytes: slow * 2 } })); // which nobody has used yet
      assert.ok((await pump('guest1', four('2'), 300)) > slow * 3, 'the burst');
    });
    apply(modelWith({}));
    await measured(async () => assert.ok((await pump('guest1', four('2'), 300)) > slow * 10));
    assert.equal(lab.ok(null, ['ip', '-br', 'link', 'show', 'type', 'ifb']), '');
  });

  test('two ports share a full network fairly, and one alone has all of it', async () => {
    apply(modelWith({}, slow * 2));
    for (const [ends, one, other] of [
      ['to the world', () => pump('guest1', '192.168.78.1', second), () => pump('guest2', '192.168.78.1', second)],
      ['from the world', () => pump('outside', four('1'), second), () => pump('outside', four('2'), second)],
    ] as const) {
      await measured(async () => {
        const [first, last] = await Promise.all([one(), other()]);
        assert.ok(Math.min(first, last) / Math.max(first, last) > 0.7, `${ends}: ${first} and ${last}`);
        near(first + last, slow * 2);
      });
    }
    await measured(async () => near(await pump('guest1', '192.168.78.1', second), slow * 2));
    await measured(async () => assert.ok((await pump('guest1', four('2'), 300)) > slow * 5, 'neighbours do not wait for the world'));
  });

  test('what is no limit is refused before anything changes', () => {
    for (const bytesPerSecond of [0, -1, Number.NaN, 1.5, 2 ** 60])
      assert.throws(() => limitsFor(modelWith({ toGuest: { bytesPerSecond } }), new Map()), /bytes per second is not a valid rate/);
    assert.throws(() => limitsFor(modelWith({ toGuest: { bytesPerSecond: 5000, burstBytes: -1 } }), new Map()), /not a valid burst/);
  });
});
