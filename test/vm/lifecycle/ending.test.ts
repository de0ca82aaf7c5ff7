import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ending } from '../../../src/vm/lifecycle/qemu-events.ts';
import { backOffMs, restartsAgain, restartsInARow } from '../../../src/vm/lifecycle/supervisor.ts';

const nothing = { shutdown: null, panicked: false, words: '', exit: { code: 0, signal: null } };

test('the reason of a VM’s end follows from QEMU’s events and exit', () => {
  const table = [
    [{ ...nothing, shutdown: { guest: true, reason: 'guest-shutdown' } }, 'guest_shutdown', false, /the guest shut down/],
    [{ ...nothing, panicked: true, shutdown: { guest: true, reason: 'guest-panic' } }, 'guest_panic', true, /panicked/],
    [{ ...nothing, exit: { code: null, signal: 'SIGSEGV' } }, 'qemu_exited', true, /killed by SIGSEGV/],
    [{ ...nothing, exit: { code: 1, signal: null }, words: 'no such device' }, 'qemu_exited', true, /exit code 1: no such device/],
    [{ ...nothing, shutdown: { guest: false, reason: 'host-signal' } }, 'qemu_exited', true, /by a signal from outside/],
    [{ ...nothing, exit: null }, 'qemu_exited', true, /ended/],
  ] as const;
  for (const [heard, code, failed, message] of table) {
    const end = ending(heard);
    assert.equal(end.code, code);
    assert.equal(end.failed, failed);
    assert.match(end.message, message);
  }
});

test('the restart policy brings back what was wanted, and only that', () => {
  assert.equal(restartsAgain('no', 'running', true), false);
  assert.equal(restartsAgain('on-failure', 'running', true), true);
  assert.equal(restartsAgain('on-failure', 'running', false), false);
  assert.equal(restartsAgain('always', 'running', false), true);
  assert.equal(restartsAgain('always', 'stopped', true), false);
});

test('the pause before a restart grows to a minute', () => {
  assert.deepEqual([0, 1, 2, 5, 6, 50].map(backOffMs), [1000, 2000, 4000, 32000, 60000, 60000]);
});

test('a VM that has run for ten minutes begins its pauses anew', () => {
  const record = { restarts: 4, startedAt: 1000, stateReason: null };
  const restartsAfter = (ranMs: number) => restartsInARow(record, 1000 + ranMs);
  assert.deepEqual([0, 599_999, 600_000].map(restartsAfter), [4, 4, 0]);
  assert.equal(restartsInARow({ ...record, startedAt: null }, 0), 4);
  const stateReason = { code: 'start_failed', message: '', occurredAt: 0 } as const;
  assert.equal(restartsInARow({ ...record, stateReason }, 1e9), 4, 'what cannot be started has not run since');
});
