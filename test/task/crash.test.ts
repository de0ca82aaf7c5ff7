import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { everyStep } from './every-step.ts';
import { toy, toyTasks } from './toy.ts';

const steps = ['a', 'b', 'c'];

/** Runs the toy in a process that is killed at the fault, then takes it up again here. */
async function killAndRecover(fault: string, fails: string) {
  const folder = await mkdtemp(join(tmpdir(), 'viv-crash-'));
  try {
    const signal = await new Promise((resolve) => {
      execFile(
        process.execPath,
        [join(import.meta.dirname, 'toy-daemon.ts'), folder, fails],
        { timeout: 120_000, env: { VIV_TEST_FAULT: fault } },
        (error) => resolve(error?.signal),
      );
    });
    assert.equal(signal, 'SIGKILL');
    const store = await openSqliteStore(join(folder, 'state.db'));
    const tasks = toyTasks(store, { 'toy.make': toy });
    assert.equal(await tasks.recover(), 1);
    await tasks.recoveryDone();
    const [task] = await tasks.list({ limit: 10 });
    await store.close();
    return { task: task ?? assert.fail(), left: steps.filter((name) => existsSync(join(folder, name))) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const { fault, step, moment } of everyStep('toy.make', toy, ['run'])) {
  test(`a daemon killed ${moment} step ${step} finishes the task when it is back`, async () => {
    const { task, left } = await killAndRecover(`${fault}kill`, '');
    assert.deepEqual([task.state, task.recovered, task.output, task.undoError], ['done', true, 'abc', null]);
    assert.deepEqual(left, steps);
  });
}

for (const { fault, step, moment } of everyStep('toy.make', toy, ['undo'])) {
  test(`a daemon killed ${moment} the undo of step ${step} goes on undoing when it is back`, async () => {
    const { task, left } = await killAndRecover(`${fault}kill`, 'c');
    assert.deepEqual([task.state, task.recovered, task.error?.code, task.undoError], ['failed', true, 'internal', null]);
    assert.deepEqual(left, []);
  });
}
