// A network that is bridged to the outside, which gives the addresses: whose they are is learned, and then kept.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import type { FirewallModel } from '../../../src/network/firewall/model.ts';
import { rulesFor } from '../../../src/network/firewall/rules.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, network, port } from './sample.ts';

const mac = (name: string) => `52:54:00:00:06:0${name}`;
const four = (name: string) => `10.6.0.1${name}`;
const six = (name: string) => `fd06::5054:ff:fe00:60${name}`;
const gateway = '10.6.0.1';

const model: FirewallModel = {
  ...empty,
  networks: [network('lan', { kind: 'bridged', bridge: 'br0', outside: 'joint' })],
  ports: ['1', '2'].map((name) => port(`port${name}`, { network: 'lan', mac: mac(name) })),
};

describe('a bridged network', { skip: noLab }, () => {
  let lab: Lab;
  before(() => {
    lab = makeLab();
    lab.bridge('br0', []);
    for (const name of ['1', '2'])
      lab.add(`guest${name}`, `port${name}`, { mac: mac(name), addresses: [`${four(name)}/24`, `${six(name)}/64`], bridge: 'br0' });
    lab.add('outside', 'joint', { mac: mac('9'), addresses: [`${gateway}/24`, 'fd06::1/64'], bridge: 'br0' });
    lab.nft(rulesFor(model));
  });
  after(() => lab?.close());

  const pings = (where: string, words: readonly string[], seconds = 30) =>
    lab.run(where, ['ping', '-c1', `-W${seconds}`, ...words]).status === 0;

  const spoofed = () =>
    readCounters(
      model,
      countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
    ).get('port1')?.spoofedPackets ?? 0;

  test('VMs use the addresses that the outside gave them, in both directions', () => {
    assert.ok(pings('guest1', [gateway]) && pings('outside', [four('2')]) && pings('guest1', [four('2')]));
    assert.ok(pings('guest1', ['fd06::1']) && pings('outside', [six('2')]) && pings('guest2', [six('1')]));
  });

  test('a VM cannot use an address of another VM or of the outside', () => {
    lab.ip('guest1', [
      `addr add ${four('2')}/32 dev lo`,
      `addr add ${gateway}/32 dev lo`,
      `addr add ${six('2')}/128 dev lo nodad`,
      'addr add fd06::77/64 dev eth0 nodad',
      'addr add 10.6.0.99/32 dev lo',
    ]);
    lab.ip('outside', ['neigh replace 10.6.0.99 lladdr 52:54:00:00:06:01 dev eth0', 'addr add 10.6.0.3/24 dev eth0']);
    const before = spoofed();
    assert.equal(pings('guest1', ['-I', four('2'), '10.6.0.3'], 0.3), false, 'a neighbour’s');
    assert.equal(pings('guest1', ['-I', gateway, '10.6.0.3'], 0.3), false, 'the gateway’s');
    assert.equal(pings('guest1', ['-I', six('2'), 'fd06::1'], 0.3), false, 'a neighbour’s IPv6');
    assert.equal(pings('guest1', ['-I', 'fd06::77', 'fd06::1'], 0.3), false, 'one that does not follow from its MAC');
    assert.ok(spoofed() - before >= 4);
    assert.ok(pings('guest1', ['-I', '10.6.0.99', '10.6.0.3']), 'one that nobody uses becomes its own');
    assert.ok(pings('guest2', [gateway]), 'and whose it was keeps it');
  });
});
