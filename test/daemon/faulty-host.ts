// A host whose daemon, and every next one, meets the faults that it is told of (src/operations/fault.ts).
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../src/contract/errors.ts';
import type { Step } from '../../src/operations/handler.ts';
import { type TestHost, testHost } from './test-host.ts';

const faultFile = (host: TestHost) => join(host.stateDirectory, 'faults');

export async function faultyHost(env: NodeJS.ProcessEnv = {}): Promise<TestHost> {
  const host = await testHost({ qemu: 'fake', env });
  host.env['VIV_TEST_FAULT'] = `@${faultFile(host)}`;
  await writeFile(faultFile(host), '');
  await host.start();
  return host;
}

/** Lets this fault come while it acts, and brings the daemon back where that was killed. */
export async function underFault(host: TestHost, fault: string, act: () => Promise<unknown>): Promise<void> {
  await writeFile(faultFile(host), fault);
  await act();
  await writeFile(faultFile(host), '');
  if (fault.endsWith('kill')) await host.start();
}

/** Lets it fail by this fault, and waits until no task is under way. */
export async function strike(host: TestHost, fault: string, act: () => Promise<unknown>): Promise<void> {
  const fails = async () => {
    const failed = await act().then(
      () => null,
      (error: unknown) => error,
    );
    assert.ok(failed instanceof VivError, `${fault} made the operation fail: ${failed}`);
  };
  await underFault(host, fault, fails);
  await host.settled();
}

/** What was undone was undone without an error. */
export async function undoneWell(host: TestHost, fault: string): Promise<void> {
  for (const task of await host.client.task.list({ limit: 20 })) assert.equal(task.undoError, null, `${fault}: undone without error`);
}

/** Every fault of an operation's steps: each fails, or the daemon dies, just before and just after it. */
export const faultsOf = (operation: string, steps: readonly Pick<Step<never>, 'name'>[]): string[] =>
  steps.flatMap(({ name }) =>
    ['before:run:throw', 'after:run:throw', 'before:run:kill', 'after:run:kill'].map((how) => `${operation}:${name}:${how}`),
  );

/** Every death of the daemon while a run that has failed after `last` is being undone. */
export const faultsOfUndo = (operation: string, steps: readonly Pick<Step<never>, 'name' | 'undo'>[], last: string): string[] =>
  steps
    .slice(0, steps.findIndex(({ name }) => name === last) + 1)
    .filter(({ undo }) => undo !== undefined)
    .flatMap(({ name }) =>
      ['before', 'after'].map((moment) => `${operation}:${last}:after:run:throw,${operation}:${name}:${moment}:undo:kill`),
    );
