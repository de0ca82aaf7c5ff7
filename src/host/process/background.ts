// Starting a program that outlives the daemon: in a session of its own, with its output in a log.
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import { argumentsOf } from './arguments.ts';
import { type Program, spawn } from './spawn.ts';
import { startTicksOf } from './start-ticks.ts';

export interface Staying {
  readonly pid: number;
  /** When it was started (process-start.ts), so that no other process is taken for it. */
  readonly startTicks: number;
}

/**
 * Starts it and waits for its first line on standard output, which says that it is ready; `onLine` sees it.
 * @throws missing_program, or internal with the end of its log where it exits before that
 */
export async function startStaying(
  program: string,
  args: readonly string[],
  { timeoutMs, logFile, signal }: { timeoutMs: number; logFile: string; signal?: AbortSignal },
): Promise<Staying> {
  signal?.throwIfAborted();
  const log = openSync(logFile, 'a', 0o600);
  let child: Program;
  try {
    child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', log], cwd: '/' });
  } finally {
    closeSync(log);
  }
  const output = child.stdout as Readable;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (why: string, cause?: unknown) =>
    reject(new VivError('unsupported', `${program} could not be started: ${why}; see ${logFile}`, { cause }));
  const timer = setTimeout(() => failed(`it was not ready within ${timeoutMs} ms`), timeoutMs);
  const stop = () => reject(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  child.once('error', (error) => failed(error.message, error));
  child.once('exit', (code) => failed(`it ended with ${code}`));
  output.once('data', () => resolve());
  try {
    await promise;
    const pid = child.pid as number;
    const startTicks = await startTicksOf(pid);
    if (startTicks === null) throw new VivError('unsupported', `${program} ended at once; see ${logFile}`);
    return { pid, startTicks };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    output.destroy();
    child.unref();
  }
}

/** The process whose pid is in a file; a word among its arguments distinguishes it from another process with the same pid. Null: it has ended. */
export async function findStaying(pidFile: string, word: string): Promise<Staying | null> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const line = await argumentsOf(pid);
  const startTicks = line.includes(word) ? await startTicksOf(pid) : null;
  return startTicks === null ? null : { pid, startTicks };
}

/** Sends SIGTERM, and SIGKILL after a second. Resolves when it has ended. @throws timeout */
export async function endStaying({ pid, startTicks }: Staying): Promise<void> {
  const begun = Date.now();
  let sent: NodeJS.Signals | null = null;
  while ((await startTicksOf(pid)) === startTicks) {
    const waited = Date.now() - begun;
    if (waited > 10_000) throw new VivError('timeout', `process ${pid} does not end although it was killed`);
    const next = waited > 1000 ? 'SIGKILL' : 'SIGTERM';
    if (sent !== next) {
      sent = next;
      try {
        process.kill(pid, next);
      } catch {
        // it has ended meanwhile
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
