// Which VMs a fork makes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { macOf } from '../../../src/vm/device/nics.ts';
import { namesOf, planFork } from '../../../src/vm/fork/plan.ts';

const taken = (...names: string[]) => ({ isNameTaken: (name: string) => names.includes(name), uids: null, macs: new Set<string>() });

describe('names of forks', () => {
  const cases: [parent: string, pattern: string | null, count: number, taken: string[], names: string[] | RegExp][] = [
    ['web', null, 1, [], ['web-1']],
    ['web', null, 3, ['web-2'], ['web-1', 'web-3', 'web-4']],
    ['web', 'api', 1, [], ['api']],
    ['web', 'api', 1, ['api'], /api is taken/],
    ['web', 'api', 2, ['api-1'], ['api-2', 'api-3']],
    ['web', 'n{}-x', 2, [], ['n1-x', 'n2-x']],
    ['web', 'a{}b{}', 1, [], ['a1b1']],
    ['web', 'Web', 2, [], /Web-1 is not a valid name/],
    ['a'.repeat(62), null, 1, [], /is not a valid name/],
    ['web', '-{}', 1, [], /-1 is not a valid name/],
  ];
  for (const [parent, pattern, count, names, expected] of cases)
    test(`${count} of ${parent.slice(0, 8)} as ${pattern ?? 'the default'}, with ${names.join(', ') || 'nothing'} taken`, () => {
      const act = () => namesOf(parent, pattern, count, taken(...names).isNameTaken);
      if (expected instanceof RegExp) assert.throws(act, expected);
      else assert.deepEqual(act(), expected);
    });
});

test('each fork has an id whose MAC addresses are free, and a user of its own', () => {
  const ids = ['one', 'two', 'three', 'four'];
  const macs = new Set([macOf('one', 0)]);
  const uids = new Set([1]);
  const forks = planFork({ parent: 'web', pattern: null, count: 3 }, { ...taken(), uids, macs }, 5, () => ids.shift() ?? '');
  assert.deepEqual(
    forks.map(({ id, name, createdAt }) => ({ id, name, createdAt })),
    [
      { id: 'two', name: 'web-1', createdAt: 5 },
      { id: 'three', name: 'web-2', createdAt: 5 },
      { id: 'four', name: 'web-3', createdAt: 5 },
    ],
  );
  assert.equal(new Set(forks.map(({ uid }) => uid)).size, 3);
  assert.deepEqual([...macs], [macOf('one', 0)]);
  assert.deepEqual([...uids], [1]);
});

test('a daemon that is not root gives forks no users', () => {
  const [fork] = planFork({ parent: 'web', pattern: 'x', count: 1 }, taken(), 1);
  assert.equal(fork?.uid, null);
});
