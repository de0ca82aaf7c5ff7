// What is written as a policy for automatic snapshots, and what it means.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatSnapshotPolicy, parseSnapshotPolicy, SnapshotPolicy } from '../../src/contract/snapshot-policy.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const meanings: readonly (readonly [string, SnapshotPolicy | null, string])[] = [
  ['none', null, 'none'],
  ['hourly keep 24', { rules: [{ everyMs: hour, keep: 24 }], beforeRisky: false }, 'hourly keep 24'],
  [
    'every 10 min keep 12, hourly keep 24, daily keep 7, before risky operations',
    {
      rules: [
        { everyMs: 10 * minute, keep: 12 },
        { everyMs: hour, keep: 24 },
        { everyMs: day, keep: 7 },
      ],
      beforeRisky: true,
    },
    'every 10 min keep 12, hourly keep 24, daily keep 7, before risky operations',
  ],
  ['before risky operations', { rules: [], beforeRisky: true }, 'before risky operations'],
  ['  Before  Risky ', { rules: [], beforeRisky: true }, 'before risky operations'],
  ['every 60 minutes keep 3', { rules: [{ everyMs: hour, keep: 3 }], beforeRisky: false }, 'hourly keep 3'],
  ['every minute keep 1', { rules: [{ everyMs: minute, keep: 1 }], beforeRisky: false }, 'every 1 min keep 1'],
  ['every 2h keep 5', { rules: [{ everyMs: 2 * hour, keep: 5 }], beforeRisky: false }, 'every 2 hours keep 5'],
  [
    'weekly keep 4, every 3 days keep 2',
    {
      rules: [
        { everyMs: 3 * day, keep: 2 },
        { everyMs: 7 * day, keep: 4 },
      ],
      beforeRisky: false,
    },
    'every 3 days keep 2, weekly keep 4',
  ],
];

for (const [text, policy, written] of meanings) {
  test(`“${text}” is understood, and written as “${written}”`, () => {
    assert.deepEqual(parseSnapshotPolicy(text), policy);
    assert.equal(formatSnapshotPolicy(policy), written);
  });
}

const refusals: readonly (readonly [string, RegExp])[] = [
  ['', /nothing at all; for example/],
  ['hourly keep 3,,daily keep 2', /nothing between two commas/],
  ['hourly', /“hourly” does not say how many are kept; for example hourly keep 12/],
  ['hourly keep', /“hourly keep” is not understood/],
  ['hourly keep 0', /“keep 0” is not a number from 1 to 1000/],
  ['hourly keep many', /“keep many” is not a number/],
  ['hourly keep 2, every 60 min keep 3', /has the interval of another part/],
  ['every 0 min keep 2', /not between every minute and every 366 days/],
  ['every 99999 days keep 2', /not between every minute/],
  ['every 10 parsecs keep 2', /“every 10 parsecs keep 2” is not understood; for example every 10 min/],
  ['none, hourly keep 2', /“none” excludes all other rules/],
  ['now and then', /is not understood/],
  ['x'.repeat(301), /at most 300 characters/],
  ['every constructor keep 2', /is not understood/],
];

for (const [text, words] of refusals) {
  test(`“${text.slice(0, 40)}” is refused with a sentence`, () => {
    assert.throws(() => parseSnapshotPolicy(text), { name: 'VivError', code: 'invalid', message: words });
  });
}

const rule = fc.record(
  { everyMs: fc.integer({ min: 1, max: 366 * 1440 }).map((minutes) => minutes * minute), keep: fc.integer({ min: 1, max: 1000 }) },
  { noNullPrototype: true },
);
const anyPolicy = fc
  .record({ rules: fc.uniqueArray(rule, { maxLength: 8, selector: ({ everyMs }) => everyMs }), beforeRisky: fc.boolean() })
  .filter(({ rules, beforeRisky }) => rules.length > 0 || beforeRisky)
  .map(({ rules, beforeRisky }) => ({ rules: rules.sort((one, other) => one.everyMs - other.everyMs), beforeRisky }));

test('what is written is understood as what was meant', () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      assert.deepEqual(parseSnapshotPolicy(formatSnapshotPolicy(policy)), policy);
      assert.deepEqual(SnapshotPolicy.parse(policy), policy);
    }),
  );
});

test('any text is understood or refused as invalid', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      try {
        parseSnapshotPolicy(text);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'invalid');
      }
    }),
  );
});
