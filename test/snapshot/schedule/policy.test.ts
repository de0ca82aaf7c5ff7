// When automatic snapshots are due and which of them go, as tables and as what always holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSnapshotPolicy, type SnapshotPolicy } from '../../../src/contract/snapshot-policy.ts';
import {
  dueRule,
  intervalOf,
  keptBeforeRisky,
  labelOf,
  ruleName,
  type SnapshotFacts,
  unkeptSnapshots,
  untilNextMs,
} from '../../../src/snapshot/schedule/policy.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const policyOf = (text: string): SnapshotPolicy => parseSnapshotPolicy(text) as SnapshotPolicy;
/** Local time of a day in November 2026. */
const at = (time: string, date = 20): number => {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  return new Date(2026, 10, date, hours, minutes, seconds).getTime();
};
const snapshot = (createdAt: number, more: Partial<SnapshotFacts> = {}): SnapshotFacts => ({
  ...{ id: `p${createdAt}`, createdAt, auto: 'hourly', template: false },
  ...more,
});

const usual = policyOf('every 10 min keep 3, hourly keep 2, daily keep 2');

const dues: readonly (readonly [string, SnapshotPolicy, SnapshotFacts[], string, string | null])[] = [
  ['the first snapshot is due at once, for the longest rule', usual, [], '12:34', 'daily'],
  ['none is due twice in an interval', usual, [snapshot(at('12:30'))], '12:39', null],
  ['the next interval of the clock counts, not the time since the last one', usual, [snapshot(at('12:39'))], '12:40', 'every 10 min'],
  ['a new hour is for the hourly rule', usual, [snapshot(at('12:55'))], '13:00', 'hourly'],
  ['a new day is for the daily rule', usual, [snapshot(at('23:55', 19))], '00:00', 'daily'],
  ['whatever was missed while nobody was there is one snapshot', usual, [snapshot(at('09:00', 3))], '12:34', 'daily'],
  ['a snapshot made by hand does not count', usual, [snapshot(at('12:31'), { auto: null })], '12:34', 'daily'],
  ['one made before something risky does not count', usual, [snapshot(at('12:31'), { auto: 'before reset' })], '12:34', 'daily'],
  ['a clock that was set back does not keep the rules waiting', usual, [snapshot(at('12:00', 25))], '12:34', 'daily'],
  ['a policy without times is never due', policyOf('before risky operations'), [], '12:34', null],
];

for (const [name, policy, snapshots, now, due] of dues) {
  test(name, () => {
    const rule = dueRule(policy, snapshots, at(now));
    assert.equal(rule && ruleName(rule), due);
  });
}

const thinnings: readonly (readonly [string, string, SnapshotFacts[], SnapshotFacts[]])[] = [
  [
    'each rule keeps the newest of its own intervals, and what any keeps stays',
    'every 10 min keep 3, hourly keep 2',
    ['10:50', '11:40', '11:50', '12:00', '12:10', '12:20'].map((time) => snapshot(at(time))),
    ['10:50', '11:40'].map((time) => snapshot(at(time))),
  ],
  [
    'of several in one interval the newest is kept',
    'hourly keep 1',
    ['12:01', '12:20', '12:40'].map((time) => snapshot(at(time))),
    ['12:01', '12:20'].map((time) => snapshot(at(time))),
  ],
  [
    'intervals without a snapshot do not count',
    'daily keep 2',
    [snapshot(at('12:00', 1)), snapshot(at('12:00', 5)), snapshot(at('12:00', 20))],
    [snapshot(at('12:00', 1))],
  ],
  [
    'what was made by hand and templates stay',
    'hourly keep 1',
    [snapshot(at('10:00'), { auto: null }), snapshot(at('10:30'), { template: true }), snapshot(at('11:00')), snapshot(at('12:00'))],
    [snapshot(at('11:00'))],
  ],
  [
    'the last five from before something risky are kept, apart from the others',
    'hourly keep 1, before risky operations',
    [snapshot(at('09:00')), ...[1, 2, 3, 4, 5, 6].map((minutes) => snapshot(at(`10:0${minutes}`), { auto: 'before restore' }))],
    [snapshot(at('10:01'), { auto: 'before restore' })],
  ],
  [
    'an earlier policy’s snapshots are left to whoever ended it',
    'before risky operations',
    [snapshot(at('09:00')), snapshot(at('09:10'))],
    [],
  ],
];

for (const [name, text, snapshots, gone] of thinnings) {
  test(name, () => {
    assert.deepEqual(
      unkeptSnapshots(policyOf(text), snapshots),
      gone.map(({ id }) => id),
    );
  });
}

test('an automatic snapshot’s label says when it was made', () => {
  assert.equal(labelOf('hourly', at('09:10', 21)), 'auto-2026-11-21-0910');
  assert.equal(labelOf('before reset', at('09:10', 21)), 'before-reset-2026-11-21-0910');
});

test('the wait ends where an interval of some rule begins', () => {
  assert.equal(untilNextMs(usual, at('12:34')), 6 * minute);
  assert.equal(untilNextMs(policyOf('daily keep 1'), at('23:59:30')), 30_000);
  assert.equal(untilNextMs(policyOf('before risky operations'), at('12:34')), null);
});

const rule = fc.record({
  everyMs: fc.constantFrom(minute, 7 * minute, hour, 5 * hour, day, 7 * day),
  keep: fc.integer({ min: 1, max: 6 }),
});
const anyPolicy = fc.record({
  rules: fc
    .uniqueArray(rule, { minLength: 1, maxLength: 4, selector: ({ everyMs }) => everyMs })
    .map((rules) => rules.sort((one, other) => one.everyMs - other.everyMs)),
  beforeRisky: fc.constant(true),
});
const start = at('00:00', 1);
const anySnapshots = fc
  .array(
    fc.record({
      createdAt: fc.integer({ min: start, max: start + 40 * day }),
      auto: fc.constantFrom(null, 'hourly', 'daily', 'before reset', 'before restore'),
      template: fc.boolean(),
    }),
    { maxLength: 80 },
  )
  .map((snapshots) => snapshots.map((one, index) => ({ ...one, id: String(index) })));

test('nothing made by hand and no template ever goes, and the newest of each kind stays', () => {
  fc.assert(
    fc.property(anyPolicy, anySnapshots, (policy, snapshots) => {
      const gone = new Set(unkeptSnapshots(policy, snapshots));
      for (const one of snapshots) if (one.auto === null || one.template) assert.ok(!gone.has(one.id));
      const timed = snapshots.filter(({ auto, template }) => auto !== null && !template && !auto.startsWith('before'));
      const newest = Math.max(...timed.map(({ createdAt }) => createdAt));
      if (timed.length > 0) assert.ok(timed.some(({ id, createdAt }) => createdAt === newest && !gone.has(id)));
    }),
  );
});

test('never more are kept than the rules say together, each rule has its share, and a second look finds nothing', () => {
  fc.assert(
    fc.property(anyPolicy, anySnapshots, (policy, snapshots) => {
      const gone = new Set(unkeptSnapshots(policy, snapshots));
      const mine = snapshots.filter(({ auto, template }) => auto !== null && !template);
      const left = mine.filter(({ id }) => !gone.has(id));
      const before = left.filter(({ auto }) => auto?.startsWith('before'));
      const timed = left.filter(({ auto }) => !auto?.startsWith('before'));
      assert.ok(before.length <= keptBeforeRisky);
      assert.ok(timed.length <= policy.rules.reduce((sum, { keep }) => sum + keep, 0));
      const allTimed = mine.filter(({ auto }) => !auto?.startsWith('before'));
      for (const { everyMs, keep } of policy.rules) {
        const covers = (some: readonly SnapshotFacts[]) => new Set(some.map(({ createdAt }) => intervalOf(createdAt, everyMs))).size;
        assert.ok(covers(timed) >= Math.min(keep, covers(allTimed)));
      }
      assert.deepEqual(
        unkeptSnapshots(
          policy,
          snapshots.filter(({ id }) => !gone.has(id)),
        ),
        [],
      );
    }),
  );
});

test('a VM that always runs comes to what the policy says, snapshot by snapshot', () => {
  const policy = policyOf('every 10 min keep 6, hourly keep 5, daily keep 3');
  let snapshots: SnapshotFacts[] = [];
  for (let now = start; now < start + 6 * day; now += 5 * minute) {
    const due = dueRule(policy, snapshots, now);
    if (due) snapshots.push(snapshot(now, { auto: ruleName(due) }));
    const gone = new Set(unkeptSnapshots(policy, snapshots));
    snapshots = snapshots.filter(({ id }) => !gone.has(id));
  }
  const ages = snapshots.map(({ createdAt }) => (start + 6 * day - createdAt) / minute).sort((one, other) => one - other);
  assert.deepEqual(ages.slice(0, 6), [10, 20, 30, 40, 50, 60]);
  assert.equal(snapshots.length, 6 + 4 + 2, 'the newest hour and day are served by the ten-minute snapshots');
});
