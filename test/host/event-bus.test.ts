// The event bus: every listener is called, none is the emitter's problem.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventBus } from '../../src/host/event-bus.ts';

test('every listener gets the event, and emit resolves when all are done, whatever one of them throws', async () => {
  const failures: unknown[] = [];
  const bus = createEventBus<{ made: string }>((error) => failures.push((error as Error).message));
  const seen: string[] = [];
  bus.on('made', () => {
    throw new Error('no');
  });
  bus.on('made', async (name) => {
    await Promise.resolve();
    seen.push(`late ${name}`);
  });
  const end = bus.on('made', (name) => seen.push(name));
  const emitted = bus.emit('made', 'one');
  assert.deepEqual(seen, ['one']);
  await emitted;
  assert.deepEqual(seen, ['one', 'late one']);
  assert.deepEqual(failures, ['no']);
  end();
  await bus.emit('made', 'two');
  assert.deepEqual(seen, ['one', 'late one', 'late two']);
});
