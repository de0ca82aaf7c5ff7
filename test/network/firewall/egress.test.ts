// Egress policies with a real dnsmasq for the guests, another one as the world's, and the flow log of what was tried.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tapProgram } from '../../../src/host/guest-asset.ts';
import { startTicksOf } from '../../../src/host/process/start-ticks.ts';
import { countersArguments, readCounters } from '../../../src/network/firewall/counters.ts';
import { assertNamesCanBePinned, domainLines } from '../../../src/network/firewall/egress.ts';
import type { Egress, FirewallModel } from '../../../src/network/firewall/model.ts';
import { named } from '../../../src/network/firewall/names.ts';
import { digestOf, planFor, rulesFor } from '../../../src/network/firewall/rules.ts';
import type { Flow } from '../../../src/network/flow/nflog.ts';
import { recordedFlows } from '../../../src/network/flow/recorder.ts';
import { eventually, patienceMs } from '../../eventually.ts';
import { type Lab, makeLab, noLab } from './lab.ts';
import { empty, network, port } from './sample.ts';

const world = {
  allowed: '198.51.100.7',
  other: '198.51.100.8',
  below: '198.51.100.9',
  six: '2001:db8::7',
  range: '198.51.100.33',
  behind: '198.51.100.36',
};
const gateway = { four: '10.5.0.1', six: 'fd05::1' };
const egress: Readonly<Record<string, Egress>> = {
  listed: { kind: 'listed', cidrs: ['198.51.100.32/30'], domains: ['Allowed.example.'] },
  none: { kind: 'none' },
  all: { kind: 'all' },
};
const guests = Object.keys(egress);
const at = (guest: string) => guests.indexOf(guest) + 10;
const four = (guest: string) => `10.5.0.${at(guest)}`;
const six = (guest: string) => `fd05::${at(guest)}`;
const mac = (guest: string) => `52:54:00:00:05:${at(guest)}`;

const model: FirewallModel = {
  ...empty,
  uplink: { interface: 'up', hostAddresses: ['192.168.79.1', 'fd79::1'] },
  networks: [network('br0', { subnets: ['10.5.0.0/24', 'fd05::/64'], gateways: [gateway.four, gateway.six] })],
  ports: guests.map((guest) =>
    port(guest, {
      network: 'br0',
      interface: `to-${guest}`,
      mac: mac(guest),
      addresses: [four(guest), six(guest)],
      egress: egress[guest] ?? { kind: 'all' },
    }),
  ),
};

describe('egress', { skip: noLab }, () => {
  let lab: Lab;
  before(async () => {
    lab = makeLab();
    assertNamesCanBePinned(lab.ok(null, ['dnsmasq', '--version']));
    lab.bridge('br0', [`${gateway.four}/24`, `${gateway.six}/64`]);
    for (const guest of guests)
      lab.add(guest, `to-${guest}`, {
        mac: mac(guest),
        addresses: [`${four(guest)}/24`, `${six(guest)}/64`],
        bridge: 'br0',
        gateways: [gateway.four, gateway.six],
      });
    lab.add('outside', 'up', { mac: '52:54:00:00:05:01', addresses: ['192.168.79.1/24', 'fd79::1/64'] });
    lab.ip(null, [
      'addr add 192.168.79.2/24 dev up',
      'addr add fd79::2/64 dev up nodad',
      'route add default via 192.168.79.1',
      'route add default via fd79::1',
    ]);
    lab.ip(
      'outside',
      Object.values(world).map((address) => `addr add ${address} dev lo${address.includes(':') ? ' nodad' : ''}`),
    );
    lab.nft(rulesFor(model));
    for (const where of [guests[2] ?? '', 'outside'])
      assert.equal(await lab.start(where, [lab.frames, 'serve', 'tcp', '5000', '5000']).line(), 'ready');
    const names = ['allowed.example', 'other.example', 'below.allowed.example'].map(
      (name, index) => `address=/${name}/198.51.100.${7 + index}`,
    );
    dnsmasq('outside', ['listen-address=192.168.79.1', ...names, `address=/allowed.example/${world.six}`, 'no-resolv']);
    dnsmasq(null, [`listen-address=${gateway.four}`, 'server=192.168.79.1', 'no-resolv', ...domainLines(model.ports)]);
    await eventually('dnsmasq answers', () => resolved('all', 'other.example').length > 0);
  });
  after(() => lab?.close());

  function dnsmasq(where: string | null, lines: readonly string[]): void {
    const file = `/run/dns-${where ?? 'ours'}.conf`;
    lab.ok(null, ['sh', '-c', `cat >${file}`], [...lines, 'bind-interfaces', 'no-hosts', 'user=root', ''].join('\n'));
    lab.start(where, ['dnsmasq', '--keep-in-foreground', `--conf-file=${file}`, '--pid-file=', '--log-facility=-', '--group=']);
  }
  /** The addresses that the guest gets for the name, from our DNS. */
  function resolved(guest: string, name: string): string[] {
    const script = `echo nameserver ${gateway.four} >/run/resolv.conf; mount --bind /run/resolv.conf /etc/resolv.conf; getent ahosts "$0"`;
    return lab
      .run(guest, ['unshare', '--mount', 'sh', '-c', script, name])
      .stdout.split('\n')
      .flatMap((line) => (/STREAM/.test(line) ? [line.split(/\s/)[0] ?? ''] : []))
      .sort();
  }
  const reaches = (guest: string, to: string, ms = 30_000) => lab.run(guest, [lab.frames, 'ask', 'tcp', to, '5000', `${ms}`]).status === 0;
  const fails = (guest: string, to: string) => !reaches(guest, to, 200);

  test('an address is open only after our DNS gave it out, and only those of names in the policy', () => {
    assert.ok(fails('listed', world.allowed));
    assert.deepEqual(resolved('listed', 'other.example'), [world.other]);
    assert.ok(fails('listed', world.other));
    assert.deepEqual(resolved('listed', 'allowed.example'), [world.allowed, world.six].sort());
    assert.deepEqual([reaches('listed', world.allowed), reaches('listed', world.six)], [true, true]);
    assert.ok(fails('listed', world.other) && fails('listed', world.below));
    resolved('listed', 'below.allowed.example');
    assert.ok(reaches('listed', world.below), 'a name stands for those below it');
  });

  test('an address range is open at once, its neighbour is not', () => {
    assert.ok(reaches('listed', world.range));
    assert.ok(fails('listed', world.behind));
  });

  test('no egress leaves the neighbours and the names; every egress leaves everything', () => {
    assert.ok(fails('none', world.allowed) && fails('none', world.six));
    assert.deepEqual(resolved('none', 'other.example'), [world.other]);
    assert.ok(reaches('none', four('all')) && reaches('none', six('all')));
    assert.ok(reaches('all', world.other) && reaches('all', world.behind));
  });

  test('what DNS gave out has an end, is renewed by use, and outlives a change of rules', () => {
    const list = (kind: string) => lab.ok(null, ['nft', 'list', 'set', 'bridge', 'vivarium', `${named(kind, 'allowed.example')}_4`]);
    assert.match(list('named'), /timeout 15m[\s\S]*198\.51\.100\.7 expires 1[0-5]m/);
    assert.match(list('reached'), /198\.51\.100\.7 timeout 1h expires (1h|5\d?m)/);
    const changed = { ...model, ports: model.ports.filter(({ name }) => name !== 'none') };
    const { kind, script } = planFor(changed, model, digestOf(model));
    assert.equal(kind, 'change');
    lab.nft(script);
    assert.ok(reaches('listed', world.allowed));
    lab.nft(planFor(model, changed, digestOf(changed)).script);
  });

  test('dropped connections are counted, and are in the flow log like accepted ones', async () => {
    const before =
      readCounters(
        model,
        countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
      ).get('none')?.droppedOutPackets ?? 0;
    const seen: Flow[] = [];
    const folder = await mkdtemp(join(tmpdir(), 'viv-flows-'));
    const recorder = lab.start(null, [(await tapProgram()) ?? '', 'flows', '1', folder]);
    assert.equal(await recorder.line(), 'ready');
    lab.run('none', [lab.frames, 'ask', 'tcp', world.other, '5000', '20']);
    const own = { pid: process.pid, startTicks: (await startTicksOf(process.pid)) ?? 0 };
    const reading = (async () => {
      for await (const flow of recordedFlows(folder, own, new AbortController().signal)) {
        seen.push(flow);
        if (flow.target === six('all')) break;
      }
      recorder.stop();
      await rm(folder, { recursive: true });
    })();
    assert.ok(fails('none', world.six));
    assert.ok(reaches('all', world.other));
    assert.ok(reaches('none', six('all')));
    await Promise.race([
      reading,
      new Promise((_, reject) => setTimeout(() => reject(new Error(`only seen: ${JSON.stringify(seen)}`)), patienceMs).unref()),
    ]);
    assert.ok(
      (readCounters(
        model,
        countersArguments.map((words) => lab.ok(null, ['nft', ...words])),
      ).get('none')?.droppedOutPackets ?? 0) >
        before + 1,
    );
    const told = (source: string, target: string) => seen.find((flow) => flow.source === source && flow.target === target);
    const index = (iface: string) => Number(lab.ok(null, ['cat', `/sys/class/net/${iface}/ifindex`]));
    const refused = told(four('none'), world.other);
    assert.deepEqual(
      [refused?.verdict, refused?.protocol, refused?.targetPort, refused?.fromIndex],
      ['drop egress', 'tcp', 5000, index('to-none')],
    );
    assert.equal(told(six('none'), world.six)?.verdict, 'drop egress');
    assert.equal(told(four('all'), world.other)?.verdict, 'accept');
    const neighbour = told(six('none'), six('all'));
    assert.deepEqual([neighbour?.verdict, neighbour?.fromIndex, neighbour?.toIndex], ['accept', index('to-none'), index('to-all')]);
    assert.ok(Math.abs((refused?.at ?? 0) - Date.now()) < 60_000);
  });
});
