// The qemu room: everything that knows QEMU. It owns the arguments (args/), the process (this file), QMP (qmp.ts, command.ts), devices, the
// client of the guest agent (agent/) and the proof that KVM works (kvm/). Which VM a process belongs to is known to vm/.
//
//   config.ts ──args/──> argv ──> process ──QMP──> commands and events
//                                    └──virtio-serial──> agent/
//
// The process is started detached in a session of its own, so that it outlives the daemon, and found again by its marker
// (the VM's id in its arguments) together with its start time, so that a reused pid is never taken for it.
import { closeSync, openSync } from 'node:fs';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { writeWhole } from '../host/file/whole-file.ts';
import { argumentsOf } from '../host/process/arguments.ts';
import { type Program, spawn } from '../host/process/spawn.ts';
import { startTicksOf } from '../host/process/start-ticks.ts';
import { type Confinement, confinedBy } from './confinement.ts';
import { inherited, type MemoryLayers } from './memory.ts';

export interface StartOptions {
  readonly binary: string;
  readonly args: readonly string[];
  /** In the arguments, and unique for the VM. */
  readonly marker: string;
  /** Null: it is the daemon's own user's. */
  readonly confinement: Confinement | null;
  readonly processFile: string;
  /** Its output is appended to this file. */
  readonly logFile: string;
  /** Prefix of the command: enters a namespace and passes descriptors on; each program executes the next in the same process. */
  readonly through: readonly string[];
  /** Null: QEMU makes its memory itself. */
  readonly memory: MemoryLayers | null;
  /** The connection with its TPM, inherited after what its memory needs (firstFreeFd). */
  readonly tpm: number | null;
  readonly signal: AbortSignal;
}

export type Exit = { readonly code: number | null; readonly signal: string | null } | null;

export interface QemuProcess {
  readonly pid: number;
  /** Clock ticks after boot at which it was started (proc(5), stat field 22). */
  readonly startTicks: number;
  /** How it ended; null where it is not a child of this daemon. */
  readonly exited: Promise<Exit>;
  /** Offset of its output in the log. */
  readonly logOffset: number;
  /** Sends SIGKILL; resolves when it has ended. @throws timeout */
  kill(): Promise<void>;
}

const ProcessFile = z.object({ pid: z.int().positive(), startTicks: z.int(), marker: z.string(), logOffset: z.int() });

const killDeadlineMs = 10_000;
const lookEveryMs = 200;
/** One of so many checks reads the process's state, because kill(2) succeeds for a zombie. */
const thoroughEvery = 10;
/** Out of memory, the kernel kills a guest rather than the programs that serve all of them (proc(5): -1000 to 1000). */
const oomScore = 200;

/** Starts it and records it in `processFile`. It may end immediately: race every wait with `exited`. */
export async function startQemu(options: StartOptions): Promise<QemuProcess> {
  options.signal.throwIfAborted();
  const logOffset = (await stat(options.logFile).catch(() => null))?.size ?? 0;
  const { confinement, binary } = options;
  const confined = confinement === null ? [] : await confinedBy(confinement, binary);
  const [program = binary, ...args] = [...options.through, ...confined, binary, ...options.args];
  const { fds, env } = options.memory === null ? { fds: [], env: {} } : inherited(options.memory);
  const log = openSync(options.logFile, 'a', 0o600);
  let child: Program;
  try {
    child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', log, log, ...fds, ...(options.tpm === null ? [] : [options.tpm])],
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C', ...env, ...testVariables() },
    });
  } finally {
    closeSync(log);
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('spawn', () => resolve(child.pid as number));
  child.once('error', (error) =>
    reject(new VivError('missing_program', `${program} cannot be started: ${error.message}`, { cause: error })),
  );
  const pid = await promise;
  child.unref();
  const startTicks = (await startTicksOf(pid)) ?? 0;
  const started = handle({ pid, startTicks, logOffset }, exited);
  try {
    await writeWhole(options.processFile, JSON.stringify({ pid, startTicks, marker: options.marker, logOffset }));
  } catch (error) {
    await started.kill();
    throw error;
  }
  await writeFile(`/proc/${pid}/oom_score_adj`, String(oomScore)).catch(() => {}); // it has ended, or the host forbids it
  return started;
}

/** Tests steer fake-qemu through the environment. */
function testVariables(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[0].startsWith('FAKE_QEMU_') && entry[1] !== undefined),
  );
}

/** The VM's process if it is alive: from its process file, else among `others`, which may have ended since they were found. */
export async function findProcess(
  marker: string,
  processFile: string,
  others: () => ReturnType<typeof findProcesses> = () => findProcesses(marker),
): Promise<QemuProcess | null> {
  const recorded = await readFile(processFile, 'utf8')
    .then(
      (text) => ProcessFile.safeParse(JSON.parse(text)).data ?? null,
      () => null,
    )
    .catch(() => null);
  if (
    recorded &&
    recorded.marker === marker &&
    (await startTicksOf(recorded.pid)) === recorded.startTicks &&
    markerIn(await argumentsOf(recorded.pid), marker) !== null
  )
    return handle(recorded);
  const other = (await others()).find(({ marker: found }) => found === marker)?.process;
  return other && (await startTicksOf(other.pid)) === other.startTicks ? other : null;
}

/** Every process whose arguments have a marker that begins with `prefix`. */
export async function findProcesses(prefix: string): Promise<{ marker: string; process: QemuProcess }[]> {
  const found = await processesWith((line) => markerIn(line, prefix));
  return found.map(({ what, process }) => ({ marker: what, process }));
}

/** Every process in whose arguments (each ends with a NUL) `look` finds something. */
export async function processesWith(look: (line: string) => string | null): Promise<{ what: string; process: QemuProcess }[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const what = look(await argumentsOf(pid));
      const startTicks = what === null ? null : await startTicksOf(pid);
      return what === null || startTicks === null ? [] : [{ what, process: handle({ pid, startTicks, logOffset: 0 }) }];
    }),
  );
  return found.flat();
}

/** The argument after `-name` begins with `process=MARKER`; what follows has the VM's name, which the user chooses. */
function markerIn(line: string, prefix: string): string | null {
  const name = /\0-name\0([^\0]*)/.exec(line)?.[1];
  const marker = name === undefined ? undefined : /^process=([^,]*)/.exec(name)?.[1];
  return marker?.startsWith(prefix) ? marker : null;
}

function handle(known: { pid: number; startTicks: number; logOffset: number }, child?: Promise<Exit>): QemuProcess {
  const { pid, startTicks, logOffset } = known;
  let exited = child;
  return {
    pid,
    startTicks,
    logOffset,
    // Polled only while awaited: processes are looked up far more often than awaited.
    get exited() {
      exited ??= watchExit(pid, startTicks);
      return exited;
    },
    async kill() {
      if ((await startTicksOf(pid)) === startTicks) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // it has ended meanwhile
        }
      }
      const deadline = Date.now() + killDeadlineMs;
      while ((await startTicksOf(pid)) === startTicks) {
        if (Date.now() > deadline) throw new VivError('timeout', `process ${pid} does not end although it was killed`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
  };
}

/** A process that is not a child is polled; the end of its QMP connection is noticed sooner. */
function watchExit(pid: number, startTicks: number): Promise<Exit> {
  return new Promise((resolve) => {
    let looks = 0;
    const timer = setInterval(async () => {
      looks += 1;
      if (looks % thoroughEvery !== 0 && answersSignals(pid)) return;
      if ((await startTicksOf(pid)) === startTicks) return;
      clearInterval(timer);
      resolve(null);
    }, lookEveryMs);
    timer.unref();
  });
}

/** The cheapest check of a process: EPERM means that it exists and belongs to another user. */
function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** QEMU's last log lines since `offset`, joined: bounded, without its program name and control characters. */
export async function lastWords(logFile: string, offset: number): Promise<string> {
  const file = await open(logFile, 'r').catch(() => null);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const from = Math.max(offset <= size ? offset : 0, size - 4096);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = buffer.subarray(0, bytesRead).toString('utf8').split('\n');
    return lines
      .map((line) =>
        line
          .replace(/^\S*qemu-system-\w+: /, '')
          .replace(/[\p{Cc}]/gu, ' ')
          .trim(),
      )
      .filter((line) => line !== '')
      .slice(-5)
      .join('; ');
  } finally {
    await file.close();
  }
}
