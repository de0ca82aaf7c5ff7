// Starts the daemon of this user in the background and waits until it answers.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, type FSWatcher, mkdirSync, openSync, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stateDirectoryTakenExitCode } from '../contract/ending.ts';
import { VivError } from '../contract/errors.ts';
import { knock } from './knock.ts';
import type { HostDirectories } from './paths.ts';
import { startAsUnit } from './start-unit.ts';

/** A daemon that ends is noticed immediately. On an emulated host a start takes 15 s, and longer where many VMs are adopted. */
const deadlineMs = 60_000;

/** Where the daemon's program is: beside us in the package, bundled or as source in a checkout. */
function daemonEntry(): string {
  const own = process.env['VIV_DAEMON_ENTRY'];
  if (own !== undefined && own !== '') return own;
  // .build/viv/ -> .build/viv/daemon.js, made in the same run; dist/sdk/ and dist/bin/ -> dist/daemon.js; src/sdk/ -> src/daemon.ts
  for (const candidate of ['./daemon.js', '../daemon.js', '../daemon.ts']) {
    const path = fileURLToPath(new URL(candidate, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new VivError('unavailable', 'the daemon’s program is missing: this installation of Vivarium is incomplete. Install it again');
}

/**
 * Arguments of Node that run the daemon. Young objects get 2 MiB instead of 16 before they are collected: it takes no longer and
 * leaves 20 MiB less resident (docs/internals/performance.md).
 */
export function daemonArguments(): string[] {
  return ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2', daemonEntry()];
}

/** Two of malloc's arenas instead of eight for each processor (mallopt(3)): Node's threads leave 7 MiB less of half-used ones behind. */
export const daemonEnvironment = { MALLOC_ARENA_MAX: '2' } as const;

export interface Starting {
  readonly env: NodeJS.ProcessEnv;
  readonly paths: HostDirectories;
  readonly signal?: AbortSignal;
  /** Called with why it is not started by systemd although a unit is enabled. */
  readonly onNotice?: (message: string) => void;
  /** User the daemon belongs to (default: the caller). */
  readonly uid?: number;
}

/**
 * Resolves when the daemon accepts connections: as the systemd unit where one is enabled for its state directory, else as a process of its own.
 * Throws `unavailable` with its last words when it ends before that.
 */
export async function startDaemon({ uid = process.getuid?.() ?? 0, onNotice = () => {}, ...options }: Starting): Promise<void> {
  options.signal?.throwIfAborted();
  if (await startAsUnit({ ...options, uid, said: onNotice })) return;
  await startBeside(options);
}

async function startBeside(options: Starting): Promise<void> {
  const { paths } = options;
  mkdirSync(paths.stateDirectory, { recursive: true, mode: 0o700 });
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  const args = daemonArguments();
  const log = openSync(paths.daemonLog, 'a', 0o600);
  const logStart = readFileSync(paths.daemonLog).length;
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', log, log],
    // Where it runs a relative VIV_HOME would be another folder.
    env: { ...daemonEnvironment, ...options.env, ...(options.env['VIV_HOME'] ? { VIV_HOME: paths.stateDirectory } : {}) },
    cwd: '/',
  });
  closeSync(log);
  child.unref();

  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let again: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  let over = false;
  try {
    await new Promise<void>((resolve, reject) => {
      const lastWords = () => {
        const lines = readFileSync(paths.daemonLog).subarray(logStart).toString('utf8').trim().split('\n');
        const plain = lines.filter((line) => !line.startsWith('{')); // the rest are log records
        return (plain.length > 0 ? plain : lines).slice(-5).join('\n');
      };
      const fail = (what: string) =>
        reject(
          new VivError(
            'unavailable',
            `${what}${lastWords() ? `. Its last output:\n${lastWords()}` : ''}\nThe log is in ${paths.daemonLog}`,
          ),
        );
      const look = () => knock(paths.apiSocket, options.signal).then(resolve, () => {});
      child.once('error', (error) => fail(`cannot start the daemon: ${error.message}`));
      // Another caller may have started one in the same moment: then ours gives way, and theirs will answer.
      child.once('exit', (code, signal) =>
        knock(paths.apiSocket, options.signal).then(resolve, () => {
          if (over) return; // it has answered meanwhile
          if (code === stateDirectoryTakenExitCode) again = setInterval(look, 100);
          else fail(`the daemon ended during its start (${signal ?? `exit code ${code}`})`);
        }),
      );
      watcher = watch(dirname(paths.apiSocket), (_event, name) => {
        if (name === basename(paths.apiSocket)) void look();
      });
      watcher.on('error', reject);
      timer = setTimeout(
        () => fail(`the daemon${again ? '' : ` (pid ${child.pid})`} did not answer on ${paths.apiSocket} within ${deadlineMs / 1000} s`),
        deadlineMs,
      );
      abort = () => reject(options.signal?.reason);
      options.signal?.addEventListener('abort', abort, { once: true });
      void look();
    });
  } finally {
    over = true;
    watcher?.close();
    clearTimeout(timer);
    clearInterval(again);
    if (abort) options.signal?.removeEventListener('abort', abort);
    child.removeAllListeners();
    child.on('error', () => {});
  }
}
