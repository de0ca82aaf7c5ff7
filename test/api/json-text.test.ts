// A long list is sent from the bytes of the last time, and never when a member has changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonOf, safeJson } from '../../src/api/json-text.ts';

const frozen = (name: string) => Object.freeze({ name, text: 'ü"\n' });
const said = (value: unknown) => JSON.parse(jsonOf(value).toString());

test('a list is serialized as it is, also when its members have changed', () => {
  const members = Array.from({ length: 200 }, (_, index) => frozen(`m${index}`));
  const first = jsonOf([...members]);
  assert.equal(jsonOf([...members]), first, 'the same members: the same bytes');
  assert.deepEqual(said(members), members);
  const changed = members.with(7, frozen('other'));
  assert.deepEqual(said(changed), changed);
  assert.deepEqual(said(members.slice(1)), members.slice(1));
  assert.deepEqual(said([...members].reverse()), [...members].reverse());
  const loose: { name: string }[] = members.map(({ name }) => ({ name }));
  assert.deepEqual(said(loose), loose);
  (loose[3] as { name: string }).name = 'changed in place';
  assert.deepEqual(said(loose), loose, 'what is not frozen is not kept');
});

test('short lists, single documents and nothing at all', () => {
  for (const value of [[], [frozen('a')], frozen('b'), { c: [1] }, 'd', 5, null]) assert.deepEqual(said(value), value);
  assert.equal(said(undefined), null);
});

test('what a guest says steers no terminal and reorders no text', () => {
  const said = {
    name: 'web\u001b[2J\u202egnp.exe\u2066\u0000\u009b31m',
    log: ['one\ttwo\nthree\r', '\u0008\u007f\u061c'],
    'zoë\u200d': '👩\u200d💻 \\u202e',
  };
  const heard = JSON.parse(safeJson(said)) as typeof said;
  assert.deepEqual(heard, { name: 'web[2Jgnp.exe31m', log: ['one\ttwo\nthree\r', ''], 'zoë\u200d': '👩\u200d💻 \\u202e' });
  assert.equal(String(jsonOf([said])), `[${safeJson(said)}]`);
  const frozen = Object.freeze({ ...said });
  assert.equal(String(jsonOf(frozen)), safeJson(said));
});
