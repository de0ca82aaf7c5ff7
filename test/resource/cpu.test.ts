// CPU time: limits as quotas, weights and reservations as group weights, credits, pins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pinsOf } from '../../src/contract/cpu-pin.ts';
import { formatCpuSet, parseCpuSet } from '../../src/contract/cpu-set.ts';
import { type Credit, type CreditTerms, fullCredit, settleAgainMs, settleCredit } from '../../src/resource/cpu/credit.ts';
import { entitlements, groupWeights, niceOf, sharesOf } from '../../src/resource/cpu/entitlement.ts';
import { quotaOf } from '../../src/resource/cpu/quota.ts';

test('a limit is a quota of a short period, with a longer one for small limits', () => {
  assert.deepEqual(quotaOf(null), { periodUs: 10_000, quotaUs: null, burstUs: 0 });
  assert.deepEqual(quotaOf(1.5), { periodUs: 10_000, quotaUs: 15_000, burstUs: 15_000 });
  assert.deepEqual(quotaOf(0.25), { periodUs: 10_000, quotaUs: 2500, burstUs: 2500 });
  assert.deepEqual(quotaOf(0.02), { periodUs: 50_000, quotaUs: 1000, burstUs: 1000 });
});

test('any limit is kept to within 1%', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 256, noNaN: true }), (limit) => {
      const { periodUs, quotaUs } = quotaOf(limit);
      assert.ok(quotaUs !== null && quotaUs >= 1000 && Math.abs(quotaUs / periodUs / limit - 1) < 0.01, `${limit}`);
    }),
  );
});

test('weights are divided as they are, and nobody gets less than its reservation or more than it can use', () => {
  const claim = (id: string, weight: number, reservation = 0, most = 8) => ({ id, weight, reservation, most });
  const of = (...claims: ReturnType<typeof claim>[]) => Object.fromEntries(entitlements(claims, 4));
  assert.deepEqual(of(claim('a', 300), claim('b', 100)), { a: 3, b: 1 });
  assert.deepEqual(of(claim('a', 300, 0, 1), claim('b', 100)), { a: 1, b: 3 });
  assert.deepEqual(of(claim('a', 900), claim('b', 100, 2)), { a: 2, b: 2 });
  assert.deepEqual(of(claim('a', 100, 3), claim('b', 100, 3)), { a: 2, b: 2 }, 'more is reserved than there is');
  assert.deepEqual(Object.fromEntries(groupWeights([claim('a', 300), claim('b', 100)], 4)), { a: 300, b: 100 });
  assert.deepEqual(Object.fromEntries(groupWeights([claim('a', 900), claim('b', 100, 2)], 4)), { a: 10_000, b: 10_000 });
});

test('reservations that fit are always kept', () => {
  const claims = fc.array(
    fc.record({
      weight: fc.integer({ min: 1, max: 10_000 }),
      reservation: fc.integer({ min: 0, max: 3 }),
      most: fc.integer({ min: 1, max: 8 }),
    }),
    { minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(claims, (list) => {
      const named = list.map((claim, nth) => ({ id: String(nth), ...claim }));
      const reserved = named.reduce((sum, { reservation, most }) => sum + Math.min(reservation, most), 0);
      const capacity = Math.max(1, reserved);
      const parts = entitlements(named, capacity);
      assert.equal(parts.size, named.length);
      let sum = 0;
      for (const { id, reservation, most } of named) {
        const part = parts.get(id) ?? Number.NaN;
        assert.ok(part >= Math.min(reservation, most) - 1e-6 && part <= most + 1e-6, `${part}`);
        sum += part;
      }
      assert.ok(sum <= capacity + 1e-6);
    }),
  );
});

test('weights as v1 shares and nice values', () => {
  assert.deepEqual([1, 100, 300, 10_000].map(sharesOf), [10, 1024, 3072, 102_400]);
  assert.deepEqual([10_000, 100, 80, 33, 1].map(niceOf), [0, 0, 1, 5, 19]);
});

test('credits are spent above the limit and regained below it, and never exceed what is declared', () => {
  const terms: CreditTerms = { limit: 0.5, burstMs: 10_000, vcpus: 2 };
  let credit: Credit = fullCredit(terms);
  let seconds = 0;
  for (; credit.lifted; seconds++) credit = settleCredit(terms, credit, 2000, 1000);
  assert.equal(seconds, 7, '10 s of credit at 1.5 CPUs above the limit');
  credit = settleCredit(terms, credit, 500, 1000);
  assert.deepEqual(credit, { balanceMs: 0, lifted: false }, 'at its limit it regains nothing');
  for (seconds = 0; credit.balanceMs < 10_000; seconds++) credit = settleCredit(terms, credit, 0, 1000);
  assert.equal(seconds, 20);
  assert.deepEqual(settleCredit(terms, credit, 0, 60_000), { balanceMs: 10_000, lifted: true });
});

test('a balance is settled again before it can be overdrawn by much', () => {
  const terms: CreditTerms = { limit: 0.5, burstMs: 10_000, vcpus: 2 };
  assert.deepEqual(
    [10_000, 300, 1].map((balanceMs) => settleAgainMs(terms, { balanceMs, lifted: true })),
    [1000, 200, 20],
  );
  assert.equal(settleAgainMs(terms, { balanceMs: 0, lifted: false }), 1000);
});

test('sets of CPUs read as they are written', () => {
  assert.deepEqual(parseCpuSet('0-2, 6'), [0, 1, 2, 6]);
  for (const wrong of ['', 'a', '3-1', '1,,2', '99999', '-1'])
    assert.throws(() => parseCpuSet(wrong), /is not a set of CPUs; write it like 0-3,6/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 4095 }), { minLength: 1, maxLength: 40 }), (numbers) => {
      assert.deepEqual(
        parseCpuSet(formatCpuSet(numbers)),
        [...numbers].sort((one, other) => one - other),
      );
    }),
  );
});

test('pins: one for all vCPUs, and others for some', () => {
  assert.deepEqual(pinsOf([], 2), [null, null]);
  assert.deepEqual(pinsOf(['2-3'], 2), [
    [2, 3],
    [2, 3],
  ]);
  assert.deepEqual(pinsOf(['0', '2-3'], 1), [[0, 2, 3]], 'as viv set splits 0,2-3');
  assert.deepEqual(pinsOf(['4-5', '0=1'], 3), [[1], [4, 5], [4, 5]]);
});
