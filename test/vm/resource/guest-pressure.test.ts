// The pressure in a guest as its agent reads it: what is taken of its answer, when it is asked, and how long an answer is valid.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Clock } from '../../../src/host/clock.ts';
import type { AgentConnection } from '../../../src/qemu/agent/channel.ts';
import { GuestPressureWatch, pressuresIn } from '../../../src/vm/resource/guest-pressure.ts';

const lines = (name: string, some: string) =>
  `/proc/pressure/${name}:some avg10=${some} avg60=1.00 avg300=0.50 total=123\n/proc/pressure/${name}:full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

test('each resource is read from its own file; what is absent or no percentage is left out', () => {
  assert.deepEqual(pressuresIn(lines('cpu', '3.50') + lines('memory', '42.00') + lines('io', '0.00')), { cpu: 3.5, memory: 42, io: 0 });
  assert.deepEqual(pressuresIn(lines('memory', '400.00') + lines('io', '7.00')), { io: 7 });
  for (const text of ['', 'grep: /proc/pressure/cpu: No such file', '/proc/pressure/memory:some avg10=x\n', '\0'.repeat(5000)])
    assert.deepEqual(pressuresIn(text), {});
});

/** A clock whose timers end when the test says so. */
class HandClock implements Clock {
  #now = 0;
  #due = new Set<{ at: number; act: () => void }>();
  now = () => this.#now;
  after(ms: number, act: () => void) {
    const timer = { at: this.#now + ms, act };
    this.#due.add(timer);
    return () => this.#due.delete(timer);
  }
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    for (const timer of [...this.#due].filter(({ at }) => at <= this.#now)) {
      this.#due.delete(timer);
      timer.act();
    }
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

const agentSaying = (answers: string[], kind = 'vivarium') => {
  const asked: (readonly string[])[] = [];
  const agent = {
    facts: { kind },
    exec({ command }: { command: readonly string[] }) {
      asked.push(command);
      const stdout = new PassThrough();
      stdout.end(answers.shift() ?? '');
      const ended = new Promise((resolve) => stdout.once('end', () => resolve({ exitCode: 0, signal: null })));
      return { stdin: new PassThrough(), stdout, stderr: new PassThrough(), ended, close() {} };
    },
  } as unknown as AgentConnection;
  return { agent, asked };
};

test('a governed guest is asked every 5 s, and its figures expire when it does not answer', async () => {
  const clock = new HandClock();
  const { agent, asked } = agentSaying([lines('memory', '12.00'), lines('memory', '30.00')]);
  const watch = new GuestPressureWatch(() => agent, clock, new AbortController().signal);
  watch.begin(false);
  await clock.pass(60_000);
  assert.deepEqual([asked.length, watch.latest], [0, null], 'nothing of it is governed');
  watch.begin(true);
  watch.begin(true);
  await clock.pass(5000);
  assert.deepEqual([asked.length, watch.latest], [1, { memory: 12 }]);
  await clock.pass(5000);
  assert.deepEqual([asked.length, watch.latest], [2, { memory: 30 }]);
  for (let step = 0; step < 5; step++) await clock.pass(5000);
  assert.deepEqual(watch.latest, null);
});

test('qemu-guest-agent is not asked, nor a guest that is not governed any more', async () => {
  const clock = new HandClock();
  const other = agentSaying([lines('memory', '12.00')], 'qemu-guest-agent');
  const watch = new GuestPressureWatch(() => other.agent, clock, new AbortController().signal);
  watch.begin(true);
  await clock.pass(5000);
  assert.equal(other.asked.length, 0);
  const own = agentSaying([lines('memory', '12.00')]);
  const second = new GuestPressureWatch(() => own.agent, clock, new AbortController().signal);
  second.begin(true);
  second.begin(false);
  await clock.pass(5000);
  await clock.pass(5000);
  assert.equal(own.asked.length, 0);
});
