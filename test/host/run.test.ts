// Programs that do not come to their end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runProgram } from '../../src/host/process/run.ts';

test('a program that exceeds its deadline is stopped and reported as a timeout', async () => {
  await assert.rejects(runProgram('sleep', ['60'], { timeoutMs: 50 }), {
    code: 'timeout',
    message: 'sleep did not end within 50 ms and was stopped; if this host is very busy, try again',
  });
});
