import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import { VmState } from '../../src/contract/vm-state.ts';
import { type Verb, verdicts } from '../../src/contract/vm-verdicts.ts';
import { decide } from '../../src/vm/decide.ts';

test('every verb has a verdict for every state, and what is denied says why', () => {
  for (const verb of Object.keys(verdicts) as Verb[]) {
    for (const state of VmState.options) {
      const ruling = verdicts[verb][state];
      if (typeof ruling === 'string') assert.equal(decide(verb, { name: 'web', state }), ruling);
      else
        assert.throws(
          () => decide(verb, { name: 'web', state }),
          (error: VivError) =>
            error instanceof VivError &&
            error.code === 'wrong_state' &&
            /^cannot [a-z ]+ web: /.test(error.message) &&
            error.message.endsWith(ruling.deny),
        );
    }
  }
});

test('force removes what runs', () => {
  assert.throws(() => decide('remove', { name: 'web', state: 'running' }), /stop it first or use --force/);
  assert.equal(decide('remove', { name: 'web', state: 'running' }, { force: true }), 'accept');
});
