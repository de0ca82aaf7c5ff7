// A command in a guest with this process's own streams: bytes both ways, signals, the terminal's size, the exit code.
import { finished } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import { signalNames } from '../../contract/frame.ts';
import type { Client } from '../../sdk/client.ts';
import type { Context } from '../context.ts';
import { codeOfSignal, enterRaw, sizeOf } from './terminal.ts';

export interface Attached {
  readonly vm: string;
  /** What it is called in what is shown; `vm` by default. */
  readonly name?: string;
  /** Empty: the login shell. */
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin?: boolean;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly waitMs?: number;
}

/** A paused guest takes no signal: this many in a row, each within this time after the one before, detach from it. */
const leaveAfter = 3;
const inARowMs = 2000;

/** Runs it and resolves with the code that `viv` ends with. */
export async function attach(
  client: Client,
  context: Context,
  { tty, command, name, stdin: desired = true, ...rest }: Attached,
): Promise<number> {
  const { stdin, stdout, stderr, interrupts } = context;
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, interrupts.signal]);
  const terminal = tty
    ? { terminal: { ...sizeOf(stdout), type: (context.env['TERM'] ?? 'xterm-256color').slice(0, 64) || 'xterm-256color' } }
    : {};
  const key = `exec ${rest.vm}`;
  context.screen.show(key, `waiting for the agent of ${name ?? rest.vm}`);
  const undo: (() => void)[] = [() => context.screen.settle(key)];
  try {
    const session = await client.vm.exec({ ...rest, command: [...command], stdin: desired, ...terminal }, { signal });
    undo.push(() => session.close());
    let started = false;
    let inARow = 0;
    let last = 0;
    // Until it runs Ctrl-C ends the waiting; after that it is the guest's.
    undo.push(
      interrupts.handle((name) => {
        const known = signalNames.find((candidate) => candidate === name);
        if (started && known) session.signal(known);
        else leaving.abort();
        const now = performance.now();
        inARow = now - last > inARowMs ? 1 : inARow + 1;
        last = now;
        if (inARow === leaveAfter - 1) context.screen.say('viv: the command got the signal; once more detaches from it');
        if (name === 'SIGHUP' || inARow >= leaveAfter) leaving.abort();
      }),
    );
    const shown = [flow(session.stdout, stdout), flow(session.stderr, stderr)];
    await session.started;
    started = true;
    context.screen.settle(key);
    if (tty) {
      undo.push(enterRaw(stdin));
      const resize = () => {
        const { rows, columns } = sizeOf(stdout);
        session.resize(rows, columns);
      };
      stdout.on('resize', resize);
      undo.push(() => stdout.off('resize', resize));
    }
    if (desired) {
      stdin.pipe(session.stdin);
      undo.push(() => {
        stdin.unpipe(session.stdin);
        stdin.pause();
      });
    }
    const ending = await session.exit;
    await Promise.all(shown);
    return ending.exitCode ?? (ending.signal ? codeOfSignal(ending.signal) : 1);
  } finally {
    for (const step of undo.reverse()) step();
  }
}

/** Passes on what comes until its end, no faster than the reader takes it; never ends our own stream. */
export async function flow(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  from.pipe(to, { end: false });
  // A broken session is reported by its `exit`; here only the end of the bytes counts.
  await finished(from, { writable: false }).catch(() => {});
}

/** For `-t`: both ends must be a terminal. */
export function needTerminal(context: Context): void {
  if (context.stdin.isTTY === true && context.stdout.isTTY === true) return;
  throw new VivError('invalid', 'standard input is not a terminal; leave --tty out');
}
