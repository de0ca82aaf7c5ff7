// What tests with real guests have in common: a script inside, and an error that has to come.
import assert from 'node:assert/strict';
import { VivError } from '../../src/contract/errors.ts';
import type { Vm } from '../../src/sdk/index.ts';

/** What a shell script wrote inside; it has to succeed. */
export async function out(vm: Vm, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await vm.exec(['sh', '-c', script]);
  assert.equal(exitCode, 0, `${script} in ${vm.name}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** How late it is inside, beside how late it was when that was asked: in seconds that it is before or after all of the asking. */
export async function clockOff(vm: Vm): Promise<number> {
  const asked = Date.now() / 1000;
  const said = Number(await out(vm, 'date +%s')); // of a second that has begun
  return Math.max(0, asked - 1 - said, said - Date.now() / 1000);
}

/** For a shell inside: ends well when no process has these words any more, which takes a moment. The first letter in brackets, so that it is not found itself. */
export const noneOf = (words: string) => `for i in $(seq 600); do pgrep -f "${words}" >/dev/null || exit 0; sleep 0.1; done; exit 1`;

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
