import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { type Store, StoreFull } from '../../src/store/store.ts';
import { createEventLog } from '../../src/task/event-log.ts';
import type { TaskHandler } from '../../src/task/handler.ts';
import { call, log, type Toy, toy, toyTasks } from './toy.ts';

const check = (what: string, act: (store: Store, folder: string) => Promise<void>) =>
  test(what, { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'viv-run-'));
    const store = await openSqliteStore(join(folder, 'state.db'));
    try {
      await act(store, folder);
    } finally {
      await store.close();
      await rm(folder, { recursive: true });
    }
  });
const make = { id: 'toy.make' };
const trail = (folder: string) => (existsSync(join(folder, 'trail')) ? readFileSync(join(folder, 'trail'), 'utf8').trim() : '');

/** The toy with a step b that waits until it is told to go on or is interrupted. */
function slow(change: Partial<TaskHandler<Toy, string, Toy, object>> = {}, pointOfNoReturn = false) {
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const [a, b, c] = toy.steps;
  const wait: typeof b = {
    ...(b ?? assert.fail()),
    pointOfNoReturn,
    run: async (state, context) => {
      await b?.run(state, context);
      begun.resolve();
      context.signal.addEventListener('abort', () => go.reject(context.signal.reason));
      await go.promise;
      return { b: 'b' };
    },
  };
  return { handler: { ...toy, steps: [a, wait, c], ...change } as typeof toy, begun: begun.promise, go: go.resolve };
}

check('a failing step and those before it are undone in reverse order', async (store, folder) => {
  const tasks = toyTasks(store, { 'toy.make': toy });
  const { task, done } = await tasks.start(make, { folder, fails: 'c' }, call);
  await assert.rejects(done, { code: 'internal' });
  assert.equal(trail(folder), 'a b c -c -b -a');
  const { state, steps, undoError } = await tasks.find(task.id.slice(0, 6));
  assert.deepEqual([state, steps.map((step) => step.state), undoError], ['failed', ['undone', 'undone', 'failed'], null]);
});

check('every step executed twice comes to the same end', async (store, folder) => {
  const tasks = toyTasks(store, { 'toy.make': toy }, { faults: { twice: true } });
  assert.equal(await (await tasks.start(make, { folder }, call)).done, 'abc');
  assert.equal(trail(folder), 'a a b b c c');
});

check('an undo that fails is shown, and the others are undone all the same', async (store, folder) => {
  const at = (_: string, step: string, moment: string, act: string) => {
    if (`${step}${moment}${act}` === 'bbeforeundo') throw new Error('stuck');
  };
  const tasks = toyTasks(store, { 'toy.make': toy }, { faults: { at } });
  const { task, done } = await tasks.start(make, { folder, fails: 'c' }, call);
  await assert.rejects(done, /undoing "b" failed: stuck/);
  assert.equal((await tasks.find(task.id)).state, 'failed');
  assert.equal(trail(folder), 'a b c -c -a');
});

check('a cancelled task is undone, one that waits for its turn just ends, and the queue goes on', async (store, folder) => {
  const { handler, begun } = slow();
  const tasks = toyTasks(store, { 'toy.slow': handler, 'toy.make': toy });
  const first = await tasks.start({ id: 'toy.slow' }, { folder }, call);
  await begun;
  const second = await tasks.start(make, { folder }, call);
  const third = await tasks.start(make, { folder }, call);
  assert.deepEqual(tasks.activity('toy'), { task: first.task.id, operation: 'toy.slow' });
  assert.equal((await tasks.cancel(second.task.id)).state, 'cancelled');
  assert.equal(trail(folder), 'a b');
  assert.equal((await tasks.cancel(first.task.id)).state, 'cancelled');
  await assert.rejects(first.done, { code: 'cancelled' });
  assert.equal(await third.done, 'abc');
  assert.equal(trail(folder), 'a b -b -a a b c');
  await assert.rejects(tasks.cancel(third.task.id), { code: 'wrong_state' });
  assert.deepEqual(
    (await tasks.list({ limit: 9 })).map((task) => task.id),
    [third, second, first].map(({ task }) => task.id),
  );
});

check('what has no way back and is through when it is cancelled is told as done', async (store, folder) => {
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const last = {
    name: 'last',
    run: async () => {
      begun.resolve();
      await go.promise;
    },
  };
  const handler = { ...toy, steps: [toy.steps[0] ?? assert.fail(), last], output: async () => 'so it is' };
  const tasks = toyTasks(store, { 'toy.last': handler });
  const { task, done } = await tasks.start({ id: 'toy.last' }, { folder }, call);
  await begun.promise;
  const cancelled = tasks.cancel(task.id);
  go.resolve();
  assert.equal((await cancelled).state, 'done');
  assert.equal(await done, 'so it is');
  assert.equal(trail(folder), 'a');
});

check('what is final takes effect whole: it is not cancelled, and undone where it fails by itself', async (store, folder) => {
  const { handler, begun, go } = slow();
  const steps = handler.steps.map((step, at) => (at === 1 ? { ...step, final: true } : step));
  const tasks = toyTasks(store, { 'toy.slow': { ...handler, steps } });
  const { task, done } = await tasks.start({ id: 'toy.slow' }, { folder, fails: 'c' }, call);
  await begun;
  await assert.rejects(tasks.cancel(task.id), { code: 'wrong_state', message: /reached "b"/ });
  go();
  await assert.rejects(done, /c fails|toy.slow failed/);
  assert.equal(trail(folder), 'a b c -c -b -a');
});

check('past the point of no return a task cannot be cancelled, and a failure leaves things as they are', async (store, folder) => {
  const { handler, begun, go } = slow({}, true);
  const tasks = toyTasks(store, { 'toy.slow': handler });
  const { task, done } = await tasks.start({ id: 'toy.slow' }, { folder, fails: 'c' }, call);
  await begun;
  await assert.rejects(tasks.cancel(task.id), { code: 'wrong_state' });
  go();
  await assert.rejects(done, /cannot be undone/);
  assert.equal(trail(folder), 'a b c');
});

check('a task that admit ignores ends as done without a step', async (store, folder) => {
  const tasks = toyTasks(store, { 'toy.make': { ...toy, admit: async () => 'ignore', output: async () => 'so already' } });
  assert.equal(await (await tasks.start(make, { folder }, call)).done, 'so already');
  assert.equal(trail(folder), '');
});

check('an orderly stop undoes nothing, and the next daemon goes on', async (store, folder) => {
  const { handler, begun } = slow();
  const before = toyTasks(store, { 'toy.make': handler });
  const { task, done } = await before.start(make, { folder }, call);
  await begun;
  await before.drain(1000);
  await assert.rejects(done, { code: 'unavailable' });
  assert.equal(trail(folder), 'a b');
  const after = toyTasks(store, { 'toy.make': toy });
  assert.equal(await after.recover(), 1);
  await after.recoveryDone();
  const { state, recovered, output } = await after.find(task.id);
  assert.deepEqual([state, recovered, output, trail(folder)], ['done', true, 'abc', 'a b b c']);
});

check('a task whose operation nobody knows any more fails visibly', async (store, folder) => {
  const { handler, begun } = slow();
  const before = toyTasks(store, { 'toy.make': handler });
  await before.start(make, { folder }, call);
  await begun;
  await before.drain(1000);
  const after = toyTasks(store, {});
  await after.recover();
  assert.deepEqual(
    (await after.list({ limit: 1 })).map(({ state, error }) => [state, error?.code]),
    [['failed', 'unsupported']],
  );
});

check('a full store refuses a new task, and undoes a running one once there is room', async (store, folder) => {
  let full = true;
  const filling: Store = Object.assign(Object.create(store) as Store, {
    get: (key: string) => store.get(key),
    list: (...args: Parameters<Store['list']>) => store.list(...args),
    commit: async (transaction: Parameters<Store['commit']>[0]) => {
      if (full) throw new StoreFull('full');
      return store.commit(transaction);
    },
  });
  const { handler, begun, go } = slow();
  const tasks = toyTasks(filling, { 'toy.slow': handler });
  await assert.rejects(tasks.start({ id: 'toy.slow' }, { folder }, call), { code: 'no_space' });
  full = false;
  const { task, done } = await tasks.start({ id: 'toy.slow' }, { folder }, call);
  await begun;
  full = true;
  go();
  for await (const { progress } of tasks.follow(task.id, call.signal)) if (progress?.message.includes('free space')) break;
  assert.equal(trail(folder), 'a b');
  full = false;
  await assert.rejects(done, { code: 'no_space' });
  assert.equal(trail(folder), 'a b -b -a');
});

check('a follower sees the task at once and last when it has ended', async (store, folder) => {
  const tasks = toyTasks(store, { 'toy.make': toy });
  const { task } = await tasks.start(make, { folder }, call);
  const states: string[] = [];
  for await (const { state } of tasks.follow(task.id, call.signal)) states.push(state);
  assert.equal(states[0], 'running');
  assert.equal(states.at(-1), 'done');
});

check('old tasks are dropped beyond the number that is kept', async (store, folder) => {
  const tasks = toyTasks(store, { 'toy.make': toy }, { retention: { tasks: 3, ms: 60_000 } });
  for (let index = 0; index < 10; index++) await (await tasks.start(make, { folder }, call)).done;
  const again = toyTasks(store, { 'toy.make': toy }, { retention: { tasks: 3, ms: 60_000 } });
  await again.recover();
  assert.equal((await again.list({ limit: 100 })).length, 3);
  assert.equal((await store.list('task/')).length, 3);
});

check('events are numbered without a gap, survive, are followed without a miss and dropped when old', async (store) => {
  const events = createEventLog(store, log, 100);
  const end = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const event of events.follow(0, end.signal)) if (seen.push(event.sequence) === 250) end.abort();
  })();
  for (let index = 1; index <= 250; index++) {
    events.record({ type: 'toy.made', message: `number ${index}` });
    if (index % 40 === 0) await setImmediate(); // they are written and followed meanwhile
  }
  await following;
  assert.deepEqual(
    seen,
    Array.from({ length: 250 }, (_, index) => index + 1),
  );
  assert.ok((await store.list('event/')).length <= 150);
  assert.deepEqual(
    (await createEventLog(store, log).list({ limit: 2 })).map((event) => event.message),
    ['number 249', 'number 250'],
  );
});
