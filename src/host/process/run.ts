// Running a program to its end: arguments are an array, there is always a deadline, output is bounded.
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import { spawn } from './spawn.ts';

export interface RunOptions {
  /** Deadline; the program gets SIGTERM, and SIGKILL two seconds later. */
  timeoutMs: number;
  signal?: AbortSignal;
  env?: Record<string, string>;
  cwd?: string;
  input?: string | Buffer | Readable;
  /** Called with each line of standard output and error as it appears. */
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Bytes of each stream that are kept (the last ones); 1 MiB by default. */
  keepBytes?: number;
  /** It is killed when this process ends, however that ends: for long work that the next daemon starts again. */
  endsWithUs?: boolean;
  /** Descriptors of this process that it gets as 3, 4, ... */
  inherit?: readonly number[];
}

export interface RunResult {
  exitCode: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** The program is not installed. */
export class ProgramMissing extends VivError {
  readonly program: string;
  constructor(program: string) {
    super('missing_program', `${program} is not installed; viv host says which package has it`);
    this.program = program;
  }
}

/** The program failed; `result` has its output. */
export class ProgramFailed extends Error {
  override readonly name = 'ProgramFailed';
  readonly program: string;
  readonly result: RunResult;
  constructor(program: string, result: RunResult) {
    const words = result.stderr.trim() || result.stdout.trim();
    super(`${program} ended with ${result.signal ?? `exit code ${result.exitCode}`}${words ? `: ${words.slice(-2000)}` : ''}`);
    this.program = program;
    this.result = result;
  }
}

/** It exceeded its deadline; callers that know what it was doing translate this. */
export class ProgramTimeout extends VivError {
  constructor(program: string, timeoutMs: number) {
    super('timeout', `${program} did not end within ${timeoutMs} ms and was stopped; if this host is very busy, try again`);
  }
}

/** Runs it and returns how it ended, whatever the exit code. @throws ProgramMissing, ProgramTimeout, or the signal's reason */
export async function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const keep = options.keepBytes ?? 1024 * 1024;
  // setpriv (util-linux) asks the kernel for it and executes the program in the same process.
  const [started, given] = options.endsWithUs ? ['setpriv', ['--pdeathsig', 'KILL', '--', program, ...args]] : [program, args];
  const child = spawn(started, given, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(options.inherit ?? [])],
    detached: true, // its own group, so that its children are stopped with it
    ...(options.env ? { env: options.env } : {}),
    ...(options.cwd ? { cwd: options.cwd } : {}),
  });
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // it has ended
    }
  };
  let timedOut = false;
  let firm: NodeJS.Timeout | undefined;
  const end = () => {
    kill('SIGTERM');
    firm ??= setTimeout(() => kill('SIGKILL'), 2000);
  };
  const deadline = setTimeout(() => {
    timedOut = true;
    end();
  }, options.timeoutMs);
  options.signal?.addEventListener('abort', end, { once: true });
  try {
    if (options.input !== undefined && child.stdin) {
      child.stdin.on('error', () => {}); // it may end without reading
      if (typeof options.input === 'string' || Buffer.isBuffer(options.input)) child.stdin.end(options.input);
      else options.input.pipe(child.stdin);
    }
    const [stdout, stderr, ending] = await Promise.all([
      collect(child.stdout as Readable, keep, options.onLine && ((line) => options.onLine?.(line, 'stdout'))),
      collect(child.stderr as Readable, keep, options.onLine && ((line) => options.onLine?.(line, 'stderr'))),
      new Promise<{ exitCode: number | null; signal: string | null }>((resolve, reject) => {
        child.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? new ProgramMissing(started) : error));
        child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
      }),
    ]);
    options.signal?.throwIfAborted();
    // What setpriv ends with where there is no such program (env(1) has the same number).
    if (options.endsWithUs && ending.exitCode === 127) throw new ProgramMissing(program);
    if (timedOut) throw new ProgramTimeout(program, options.timeoutMs);
    return { ...ending, stdout, stderr };
  } finally {
    clearTimeout(deadline);
    clearTimeout(firm);
    options.signal?.removeEventListener('abort', end);
  }
}

/** Like runProgram, and throws ProgramFailed unless it exits with 0. Returns standard output. */
export async function runOk(program: string, args: readonly string[], options: RunOptions): Promise<string> {
  const result = await runProgram(program, args, options);
  if (result.exitCode !== 0) throw new ProgramFailed(program, result);
  return result.stdout;
}

async function collect(stream: Readable, keep: number, onLine?: (line: string) => void): Promise<string> {
  const chunks: Buffer[] = [];
  let kept = 0;
  let rest = '';
  stream.on('error', () => {}); // 'close' reports the end
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    kept += chunk.length;
    while (kept - (chunks[0]?.length ?? 0) >= keep && chunks.length > 1) kept -= chunks.shift()?.length ?? 0;
    if (onLine) {
      const lines = (rest + chunk.toString('utf8')).split(/\r?\n|\r/);
      rest = lines.pop() ?? '';
      lines.forEach(onLine);
    }
  }
  if (onLine && rest !== '') onLine(rest);
  return Buffer.concat(chunks).toString('utf8');
}
