// What is unusual for a VM is told once, with the figures; what it always did, or hardly differs, is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Anomalies } from '../../src/resource/anomaly/anomalies.ts';
import { changeText, compare, usualOf } from '../../src/resource/anomaly/usual.ts';
import { hostCounters, runningLook } from './looks.ts';

const minute = 60_000;
const repeat = (count: number, value: (index: number) => number) => Array.from({ length: count }, (_, index) => value(index));
/** Around so much, up and down by a fifth. */
const around = (value: number, count = 1400) => repeat(count, (index) => value * (0.8 + 0.4 * ((index * 7) % 11) * 0.1));

const table: readonly (readonly [string, Parameters<typeof compare>[0], number[], number | undefined, ReturnType<typeof compare>])[] = [
  ['an idle VM that is busy', 'cpuPercent', around(2), 95, 'above'],
  ['a busy VM that is idle', 'cpuPercent', around(80), 1, 'below'],
  ['an idle VM that does a little', 'cpuPercent', around(2), 20, null],
  ['a VM that is busy half of the time', 'cpuPercent', repeat(1400, (index) => (index % 2 === 0 ? 5 : 95)), 95, null],
  ['what it does for half an hour each day', 'diskWriteBytesPerSecond', [...around(1e5), ...repeat(30, () => 1e8)], 1e8, null],
  ['what it did for ten minutes only', 'diskWriteBytesPerSecond', [...around(1e5), ...repeat(10, () => 1e8)], 1e8, 'above'],
  ['less than an hour of history', 'cpuPercent', around(2, 59), 95, null],
  ['nothing measured now', 'cpuPercent', around(2), undefined, null],
  ['memory that grew by half a GiB', 'proportionalBytes', around(2 ** 28), 2 ** 28 + 2 ** 29, 'above'],
  ['memory that grew by less than is worth a word', 'proportionalBytes', repeat(1400, () => 2 ** 28), 2 ** 28 + 2 ** 27, null],
];
for (const [name, series, history, recent, expected] of table)
  test(name, () => assert.equal(compare(series, usualOf(history), recent), expected));

test('what it says has the figures', () => {
  const usual = usualOf(around(4, 1200)) ?? assert.fail();
  assert.equal(
    changeText('cpuPercent', 'web', usual, 96.2, 5 * minute),
    'cpuPercent of web is 96.2% over the last 5 min; over the 20 h before it was 4%, and between 3.2% and 4.8% nearly always',
  );
});

/** A history that the test writes, minute by minute. */
class WrittenHistory {
  readonly cpu = new Map<number, number>();
  minutes = async <Name extends string>(_vm: string, names: readonly Name[], from: number, to: number) => {
    const cpu = [...this.cpu].filter(([at]) => at >= Math.floor(from / minute) * minute && at <= to).map(([, value]) => value);
    return Object.fromEntries(names.map((name) => [name, name === 'cpuPercent' ? cpu : []])) as Record<Name, number[]>;
  };
}

const look = (at: number) => ({ at, host: { values: {}, counters: hostCounters, recent: {} as never }, vms: [runningLook('web')] });

test('a change is one event, the next comes when it was usual in between, and a daemon that comes back says it no second time', async () => {
  const histories = new WrittenHistory();
  const events: string[] = [];
  const options = { histories, record: ({ message }: { message: string }) => void events.push(message), onProblem: () => assert.fail() };
  let anomalies = new Anomalies(options);
  let at = 1_764_000_000_000;
  const run = async (minutes: number, cpu: number) => {
    for (let index = 0; index < minutes; index++) {
      at += minute;
      histories.cpu.set(Math.floor(at / minute) * minute, cpu);
      anomalies.onLook(look(at));
      anomalies.onLook(look(at + 1000)); // most looks of a minute compare nothing
      await anomalies.settled();
    }
  };
  await run(150, 2);
  assert.deepEqual(events, []);
  await run(12, 95);
  assert.equal(events.length, 1);
  assert.match(events[0] ?? '', /^cpuPercent of web is \d+(\.\d+)?% over the last 5 min; over the \d h before it was 2%/);
  anomalies = new Anomalies(options);
  await run(3, 95);
  assert.equal(events.length, 1, 'the next daemon');
  await run(30, 2);
  await run(12, 95);
  assert.equal(events.length, 2);
});
