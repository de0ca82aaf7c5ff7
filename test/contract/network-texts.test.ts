// What is said of networks on a line: rules of groups, rates, where a VM may go, and what of the host it may reach.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEgress, formatRate } from '../../src/cli/render/nic.ts';
import { parseEgress } from '../../src/contract/egress.ts';
import { formatHostAccess, parseHostAccess } from '../../src/contract/host-access.ts';
import { parseGroups } from '../../src/contract/nic-spec.ts';
import { parseRate } from '../../src/contract/rate.ts';
import { formatGroupRule, parseGroupRule } from '../../src/contract/security-group-rule.ts';

const wrong = (act: () => unknown, words: RegExp) =>
  assert.throws(act, (error: { code?: string; message: string }) => error.code === 'invalid' && words.test(error.message), `${words}`);

test('a rule is read and written the same', () => {
  for (const text of [
    'in tcp 80',
    'in tcp 8000-8999 from 10.0.0.0/8',
    'in any from group:web',
    'out udp 53 to vm:dns',
    'in icmp',
    'out any to fd00::/8',
    'in tcp from 192.0.2.1',
  ])
    assert.equal(formatGroupRule(parseGroupRule(text)), text);
  assert.equal(formatGroupRule(parseGroupRule('  in   tcp 80-80   from any ')), 'in tcp 80');
});

test('what is no rule is refused with what is wrong and how it is written', () => {
  const table: [text: string, words: RegExp][] = [
    ['', /neither in nor out/],
    ['tcp 80', /neither in nor out/],
    ['in', /names no protocol/],
    ['in http', /names no protocol.*write it like/],
    ['in icmp 80', /has ports, which icmp has not/],
    ['in tcp 0', /neither a port from 1 to 65535 nor a range/],
    ['in tcp 90-80', /neither a port/],
    ['in tcp 65536', /neither a port/],
    ['in tcp 80 to 10.0.0.0/8', /cannot be understood at "to"/],
    ['in tcp 80 from', /names nobody: ""/],
    ['in tcp 80 from 10.0.0.0/33', /names nobody/],
    ['in tcp 80 from group:A', /names no group/],
    ['in tcp 80 from group:none', /names no group/],
    ['in tcp 80 from vm:', /names no VM/],
    ['in tcp 80 from any; drop', /cannot be understood/],
  ];
  for (const [text, words] of table) wrong(() => parseGroupRule(text), words);
});

test('rates are in bits or bytes, with a burst or without', () => {
  assert.deepEqual(parseRate('10Mbit'), { bytesPerSecond: 1_250_000, burstBytes: null });
  assert.deepEqual(parseRate('1MiB'), { bytesPerSecond: 2 ** 20, burstBytes: null });
  assert.deepEqual(parseRate('1.5gbit/256KiB'), { bytesPerSecond: 187_500_000, burstBytes: 256 * 1024 });
  assert.equal(parseRate('none'), null);
  for (const text of ['10Mbit', '512kbit', '1.5Gbit/256KiB', '8Mbit/70000'])
    assert.equal(formatRate(parseRate(text) ?? assert.fail()), text);
  for (const text of ['', 'fast', '10Mbit/', '10Mbit/1/2', '-1', '10Mb/x'])
    wrong(() => parseRate(text), /is not a rate; write it like 10Mbit/);
  for (const text of ['1', '7kbit', '2000Gbit']) wrong(() => parseRate(text), /from 8kbit to 1000Gbit/);
  for (const text of ['1Gbit/3GiB', '1Gbit/67KiB', '1Gbit/0']) wrong(() => parseRate(text), /from 68KiB to 2GiB/);
});

test('an egress policy is all, none, or a list', () => {
  assert.equal(parseEgress(['all']), null);
  assert.deepEqual(parseEgress(['none']), []);
  assert.deepEqual(parseEgress(['debian.org', '10.0.0.0/8', 'debian.org', 'fd00::/8']), ['debian.org', '10.0.0.0/8', 'fd00::/8']);
  for (const egress of [null, [], ['debian.org', '10.0.0.1']]) assert.deepEqual(parseEgress(formatEgress(egress).split(' ')), egress);
  wrong(() => parseEgress(['all', 'debian.org']), /egress all and other destinations exclude each other/);
  for (const item of ['10.0.0.0/33', '1.2.3', 'a b', '-x', 'a..b', '', `${'ä'.repeat(60)}.de`])
    wrong(() => parseEgress([item]), /neither a subnet such as/);
});

test('groups are names, or none', () => {
  assert.deepEqual(parseGroups(['web', 'ssh', 'web']), ['ssh', 'web']);
  assert.deepEqual(parseGroups(['none']), []);
  wrong(() => parseGroups(['none', 'web']), /exclude each other/);
});

test('what of the host may be reached is a service, of one address or all', () => {
  for (const text of ['tcp 5432', 'udp 514 at 192.168.1.2', 'tcp 8000-8010 at fd00::1'])
    assert.equal(formatHostAccess(parseHostAccess(text)), text);
  for (const text of ['5432', 'icmp', 'tcp', 'tcp 5432 at', 'tcp 5432 at home', 'tcp 5432 from 1.2.3.4', 'tcp 1 at 1.2.3.4 x'])
    wrong(() => parseHostAccess(text), /no|says nothing/);
});
