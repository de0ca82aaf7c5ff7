// One rule over time: when it fires, when it resolves, and that a value which wavers does neither again and again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MetricRule, parseAlertRule } from '../../src/contract/alert-rule.ts';
import { inactive, matches, type Phase, step } from '../../src/resource/alert/evaluate.ts';
import { durationText, firingText, resolvedText, valueText } from '../../src/resource/alert/text.ts';

const rule = parseAlertRule('cpuPercent > 90 until 80 for 30s') as MetricRule;
const quick = parseAlertRule('host.storageFreeBytes < 1000 until 2000') as MetricRule;

/** A value a second, from 0 on: in which seconds it began to fire, and in which it resolved. */
function run(of: MetricRule, values: readonly (number | undefined)[]): { fired: number[]; resolved: number[] } {
  let phase: Phase = inactive;
  const fired: number[] = [];
  const resolved: number[] = [];
  values.forEach((value, second) => {
    const next = step(of, phase, value, second * 1000);
    if (next.phase === 'firing' && phase.phase !== 'firing') fired.push(second);
    if (next.phase === 'inactive' && phase.phase === 'firing') resolved.push(second);
    phase = next;
  });
  return { fired, resolved };
}

const seconds = (count: number, value: number | undefined) => Array.from({ length: count }, () => value);

const table: readonly (readonly [string, MetricRule, (number | undefined)[], { fired: number[]; resolved: number[] }])[] = [
  ['it fires once it has been beyond for long enough', rule, seconds(40, 95), { fired: [30], resolved: [] }],
  ['the threshold itself is not beyond', rule, seconds(40, 90), { fired: [], resolved: [] }],
  ['a short peak does not fire', rule, [...seconds(29, 95), ...seconds(40, 10)], { fired: [], resolved: [] }],
  [
    'between the threshold and where it resolves it stays pending',
    rule,
    [...seconds(10, 95), ...seconds(30, 85)],
    { fired: [30], resolved: [] },
  ],
  ['it resolves once it has been back for as long', rule, [...seconds(31, 95), ...seconds(40, 10)], { fired: [30], resolved: [61] }],
  [
    'wavering does not resolve it',
    rule,
    [...seconds(31, 95), ...Array.from({ length: 200 }, (_, at) => (at % 20 === 0 ? 95 : 10))],
    { fired: [30], resolved: [] },
  ],
  ['what is not measured counts as back', rule, [...seconds(31, 95), ...seconds(40, undefined)], { fired: [30], resolved: [61] }],
  [
    'without `for` it fires at once, and is back for ten seconds before it resolves',
    quick,
    [5000, 500, ...seconds(20, 3000)],
    { fired: [1], resolved: [12] },
  ],
  ['below `until` it is not back', quick, [500, ...seconds(60, 1500)], { fired: [0], resolved: [] }],
];
for (const [name, of, values, expected] of table) test(name, () => assert.deepEqual(run(of, values), expected));

test('it never fires twice without resolving, nor within the time it has to be back', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constant(undefined)), { maxLength: 400 }), (values) => {
      const { fired, resolved } = run(rule, values);
      const order = [...fired.map((at) => [at, 'fired']), ...resolved.map((at) => [at, 'resolved'])].sort(
        (one, other) => Number(one[0]) - Number(other[0]),
      );
      return (
        order.every(([, what], index) => what === (index % 2 === 0 ? 'fired' : 'resolved')) &&
        resolved.every((at, index) => at - (fired[index] ?? 0) >= 30)
      );
    }),
  );
});

test('a pattern means the whole name', () => {
  for (const [pattern, text, yes] of [
    ['web', 'web', true],
    ['web', 'web-1', false],
    ['web-*', 'web-1', true],
    ['*', 'anything', true],
    ['vm.*', 'vm.ended', true],
    ['*.uplink-*', 'network.uplink-lost', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'abc', true],
    ['a*a', 'a', false],
    ['a*b*b', 'ab', false],
    ['vm.*', 'vms.ended', false],
  ] as const)
    assert.equal(matches(pattern, text), yes, `${pattern} ${text}`);
});

test('what it says has the figures', () => {
  assert.equal(firingText(rule, 'web', 97.123), 'cpuPercent of web is 97.1%, above 90% for 30 s');
  assert.equal(firingText(quick, 'node-1', 512), 'storageFreeBytes of node-1 is 512 B, below 1000 B');
  assert.equal(resolvedText(rule, 'web', 3), 'cpuPercent of web is back at 3%');
  assert.match(resolvedText(rule, 'web', undefined), /is not measured/);
  assert.equal(valueText(1.5 * 2 ** 30, 'bytes'), '1.5 GiB');
  assert.equal(valueText(0, 'bytesPerSecond'), '0 B/s');
  assert.equal(durationText(300_000), '5 min');
  assert.equal(durationText(90_000), '90 s');
});
