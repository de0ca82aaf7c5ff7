// What tests with real guests have in common: a script inside, and an error that has to come.
import assert from 'node:assert/strict';
import { VivError } from '../../src/contract/errors.ts';
import type { Machine } from '../../src/sdk/index.ts';

/** What a shell script wrote inside; it has to succeed. */
export async function out(machine: Machine, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await machine.exec(['sh', '-c', script]);
  assert.equal(exitCode, 0, `${script} in ${machine.name}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** The error that something is refused with; it has to be refused. */
export async function refusal(promise: Promise<unknown>): Promise<VivError> {
  return promise.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => {
      assert.ok(error instanceof VivError, String(error));
      return error;
    },
  );
}
