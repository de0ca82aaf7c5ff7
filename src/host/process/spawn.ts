// Starts a program as node:child_process does, with the same names and events, by posix_spawn(3). Node copies its own process for each
// (libuv calls fork(2)), for which it is blocked: 4 to 10 ms in a daemon of 100 MiB, 20 in one of 250. posix_spawn shares the
// daemon's memory until the program is executed, and takes 0.2 ms.
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { VivError } from '../../contract/errors.ts';

export interface SpawnOptions {
  /** For each descriptor of the program: one of the daemon's, a pipe to the daemon (the first three only), or nothing. */
  readonly stdio: readonly (number | 'pipe' | 'ignore')[];
  /** In a session of its own. */
  readonly detached?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

interface ProgramEvents {
  spawn: [];
  error: [NodeJS.ErrnoException];
  /** It has ended. */
  exit: [code: number | null, signal: NodeJS.Signals | null];
  /** It has ended, and its output has been read. */
  close: [code: number | null, signal: NodeJS.Signals | null];
}

const closeOnExec = 0o2000000;
const duplicateAbove = 1030; // F_DUPFD_CLOEXEC
const readWrite = 2;
const noHang = 1;
/** POSIX_SPAWN_SETSIGDEF, SETSIGMASK and SETSID, as glibc and musl have them. */
const [defaultSignals, signalMask, ownSession] = [0x04, 0x08, 0x80];
/** As many bytes as these structures have in glibc and musl, and more: 80, 336 and 128. */
const room = { actions: 512, attributes: 1024, signals: 256 };
const reapEveryMs = 1000;

const libc = koffi.load(null);
const posixSpawn = libc.func(
  'int posix_spawnp(_Out_ int *pid, const char *file, void *actions, void *attributes, const char **argv, const char **envp)',
);
const actionsInit = libc.func('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *actions)');
const actionsDup = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int to)');
const actionsOpen = libc.func(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
const actionsChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
const attributesInit = libc.func('int posix_spawnattr_init(void *attributes)');
const attributesDestroy = libc.func('int posix_spawnattr_destroy(void *attributes)');
const setFlags = libc.func('int posix_spawnattr_setflags(void *attributes, short flags)');
const setDefaultSignals = libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
const setSignalMask = libc.func('int posix_spawnattr_setsigmask(void *attributes, void *signals)');
const allSignals = libc.func('int sigfillset(void *signals)');
const noSignals = libc.func('int sigemptyset(void *signals)');
const pipe2 = libc.func('int pipe2(_Out_ int *ends, int flags)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');
const close = libc.func('int close(int fd)');
const waitpid = libc.func('int waitpid(int pid, _Out_ int *status, int options)');

/** With a pipe at each of the first three. */
export type PipedProgram = Program & { readonly stdin: Socket; readonly stdout: Socket; readonly stderr: Socket };

/** @throws internal where the host has no more descriptors. A program that cannot be started is reported by the event 'error'. */
export function spawn(
  program: string,
  args: readonly string[],
  options: SpawnOptions & { stdio: readonly ['pipe', 'pipe', 'pipe'] },
): PipedProgram;
export function spawn(program: string, args: readonly string[], options: SpawnOptions): Program;
export function spawn(program: string, args: readonly string[], options: SpawnOptions): Program {
  const env = Object.entries(options.env ?? process.env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  for (const text of [program, ...args, ...env, options.cwd ?? ''])
    if (text.includes('\0')) throw new VivError('internal', `${program} is given a text with a zero byte`);
  const opened: number[] = [];
  const kept: number[] = [];
  try {
    const pipe = (at: number): number => {
      const ends = [-1, -1];
      if (pipe2(ends, closeOnExec) < 0) throw noDescriptors(program);
      const [ours, theirs] = at === 0 ? [ends[1] as number, ends[0] as number] : [ends[0] as number, ends[1] as number];
      opened.push(theirs);
      kept[at] = ours;
      return theirs;
    };
    // Duplicates above the program's descriptors, so that none is overwritten before it is moved.
    const lifted = (fd: number): number => {
      if (fd >= options.stdio.length) return fd;
      const above = fcntl(fd, duplicateAbove, 'int', options.stdio.length);
      if (above < 0) throw noDescriptors(program);
      opened.push(above);
      return above;
    };
    const given = options.stdio.map((one, at) => (one === 'ignore' ? null : lifted(one === 'pipe' ? pipe(at) : one)));
    const pid = [0];
    const problem = start(pid, program, args, given, env, options);
    return new Program(problem === 0 ? (pid[0] as number) : undefined, kept, problem === 0 ? null : failure(program, problem));
  } catch (error) {
    for (const fd of kept) if (fd !== undefined) close(fd);
    throw error;
  } finally {
    for (const fd of opened) close(fd);
  }
}

function start(
  pid: number[],
  program: string,
  args: readonly string[],
  given: readonly (number | null)[],
  env: readonly string[],
  { cwd, detached }: SpawnOptions,
): number {
  const [actions, attributes, signals] = [Buffer.alloc(room.actions), Buffer.alloc(room.attributes), Buffer.alloc(room.signals)];
  actionsInit(actions);
  attributesInit(attributes);
  try {
    given.forEach((fd, at) => {
      if (fd === null) actionsOpen(actions, at, '/dev/null', readWrite, 0);
      else actionsDup(actions, fd, at);
    });
    if (cwd !== undefined) actionsChdir(actions, cwd);
    setFlags(attributes, defaultSignals | signalMask | (detached ? ownSession : 0));
    allSignals(signals);
    setDefaultSignals(attributes, signals);
    noSignals(signals);
    setSignalMask(attributes, signals);
    return posixSpawn(pid, program, actions, attributes, [program, ...args, null], [...env, null]);
  } finally {
    attributesDestroy(attributes);
    actionsDestroy(actions);
  }
}

const noDescriptors = (program: string) =>
  new VivError('internal', `${program} cannot be started: the daemon has too many files open (error ${koffi.errno()})`);

function failure(program: string, number: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-number);
  return Object.assign(new Error(`spawn ${program} ${code}`), { code, errno: -number, syscall: `spawn ${program}` });
}

const running = new Map<number, { readonly program: Program; readonly end: (status: number | null) => void }>();
/** Polls while the end of a process is awaited, because its SIGCHLD may have been lost. */
let timer: NodeJS.Timeout | undefined;

function reap(): void {
  for (const [pid, { end }] of running) {
    const status = [0];
    const ended = waitpid(pid, status, noHang);
    if (ended === 0) continue;
    running.delete(pid);
    end(ended === pid ? (status[0] as number) : null); // ECHILD: it was reaped elsewhere, so its status is unknown
  }
  wait();
}

function wait(): void {
  const awaited = running.values().some(({ program }) => program.awaited);
  if (awaited) timer ??= setInterval(reap, reapEveryMs);
  else {
    clearInterval(timer);
    timer = undefined;
  }
}

export class Program extends EventEmitter<ProgramEvents> {
  readonly pid: number | undefined;
  readonly stdin: Socket | null;
  readonly stdout: Socket | null;
  readonly stderr: Socket | null;
  awaited = true;
  #end: [number | null, NodeJS.Signals | null] | null = null;
  #open = 0;

  constructor(pid: number | undefined, [input, output, errors]: readonly number[], problem: NodeJS.ErrnoException | null) {
    super();
    this.pid = pid;
    this.stdin = input === undefined ? null : new Socket({ fd: input, readable: false, writable: true });
    this.stdout = this.#listening(output);
    this.stderr = this.#listening(errors);
    if (pid === undefined) {
      process.nextTick(() => {
        if (problem) this.emit('error', problem);
        this.#hasEnded(null, null);
      });
      return;
    }
    if (process.listenerCount('SIGCHLD', reap) === 0) process.on('SIGCHLD', reap);
    const end = (status: number | null) => {
      const [code, signal] = status === null ? [null, null] : decoded(status);
      this.emit('exit', code, signal);
      this.#hasEnded(code, signal);
    };
    running.set(pid, { program: this, end });
    wait();
    process.nextTick(() => this.emit('spawn'));
  }

  /** False: it has ended. */
  kill(signal: NodeJS.Signals): boolean {
    if (this.pid === undefined || this.#end) return false;
    try {
      return process.kill(this.pid, signal);
    } catch {
      return false;
    }
  }

  /** We may end before it does. */
  unref(): void {
    this.awaited = false;
    wait();
  }

  #listening(fd: number | undefined): Socket | null {
    if (fd === undefined) return null;
    this.#open += 1;
    const stream = new Socket({ fd, readable: true, writable: false });
    stream.once('close', () => {
      this.#open -= 1;
      this.#close();
    });
    return stream;
  }

  #hasEnded(code: number | null, signal: NodeJS.Signals | null): void {
    this.#end = [code, signal];
    this.stdin?.destroy();
    this.#close();
  }

  #close(): void {
    if (this.#end && this.#open === 0) this.emit('close', ...this.#end);
  }
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** As wait(2) has it: the low 7 bits are the signal, the next byte is the exit code. */
const decoded = (status: number): [number | null, NodeJS.Signals | null] =>
  (status & 0x7f) === 0 ? [(status >> 8) & 0xff, null] : [null, signalNames.get(status & 0x7f) ?? null];
