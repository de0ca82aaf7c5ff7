// Failures as sentences, and the words that were probably meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/cli/parse/nearest.ts';
import { describeProblem, exitCodeOf } from '../../src/cli/problem.ts';
import { describeTask } from '../../src/cli/terminal/screen.ts';
import { codeOfSignal } from '../../src/cli/terminal/terminal.ts';
import { VivError } from '../../src/contract/errors.ts';
import type { Task } from '../../src/contract/task.ts';

test('an error of the daemon is one sentence without a stack', () => {
  const error = new VivError('wrong_state', 'cannot start web: it is paused; resume it instead');
  assert.equal(describeProblem(error), 'viv: cannot start web: it is paused; resume it instead');
  assert.equal(exitCodeOf(error), 1);
  assert.equal(exitCodeOf(new VivError('invalid', 'x')), 2);
});

test('the first letter becomes small, and QEMU stays QEMU', () => {
  assert.match(describeProblem(new VivError('unavailable', 'No daemon answers')), /^viv: no daemon answers$/);
  assert.match(describeProblem(new VivError('qemu_failed', 'QEMU ended')), /^viv: QEMU ended$/);
});

test('the words of QEMU stand below, cleaned of control characters and of endless length', () => {
  const text = describeProblem(new VivError('qemu_failed', `cannot start web:\nqemu: \u001b[31mno\u001b[0m disk\n${'x'.repeat(100_000)}`));
  assert.match(text, /^viv: cannot start web:\n {2}qemu: no disk\n {2}x+…$/);
  assert.ok(text.length < 2100);
});

test('a bug says that it is one, and VIV_DEBUG shows the chain of causes', () => {
  const bug = new Error('x is undefined', { cause: new Error('deeper') });
  assert.match(describeProblem(bug), /^viv: x is undefined \(a bug of viv; VIV_DEBUG=1 shows where\)$/);
  const shown = describeProblem(bug, { VIV_DEBUG: '1' });
  assert.match(shown, /problem\.test\.ts/);
  assert.match(shown, /caused by: Error: deeper/);
});

test('an end that the user asked for needs no words', () => {
  const abort = new DOMException('This operation was aborted', 'AbortError');
  assert.equal(describeProblem(abort), '');
  assert.equal(exitCodeOf(abort), 130);
});

test('slips of the finger find their command', () => {
  const words = ['start', 'stop', 'ls', 'image ls', 'status', 'exec'];
  for (const [typed, meant] of [
    ['strat', 'start'],
    ['sotp', 'stop'],
    ['stauts', 'status'],
    ['exce', 'exec'],
    ['image sl', 'image ls'],
    ['stat', 'start'],
  ]) {
    assert.ok([meant, 'start', 'status'].includes(nearest(typed ?? '', words) ?? ''), `${typed}`);
  }
  assert.equal(nearest('frobnicate', words), null);
  assert.equal(nearest('x'.repeat(10_000), words), null);
});

test('a task’s line tells the step, or how much is done', () => {
  const task = {
    id: 't',
    operation: 'vm.start',
    target: 'web',
    state: 'running',
    progress: null,
    steps: [
      { name: 'make the disk', state: 'done' },
      { name: 'start QEMU', state: 'running' },
    ],
  } as unknown as Task;
  assert.equal(describeTask(task, 'start web'), 'start web: start QEMU (step 2 of 2)');
  assert.equal(
    describeTask({ ...task, progress: { message: 'fetching', done: 2 ** 20, total: 4 * 2 ** 20, unit: 'bytes' } }, 'tiny'),
    'tiny: fetching, 25% (1 MiB of 4 MiB)',
  );
});

test('a signal becomes the code that shells give it', () => {
  assert.equal(codeOfSignal('SIGKILL'), 137);
  assert.equal(codeOfSignal('SIGTERM'), 143);
  assert.equal(codeOfSignal('SIGWHAT'), 1);
});
