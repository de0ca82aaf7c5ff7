// `viv` as a user starts it: the real program in a process of its own.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when this stream has shown the text. */
  shows(stream: 'stdout' | 'stderr', text: string): Promise<void>;
}

export const cleanEnv = (stateDirectory: string, more: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: stateDirectory,
  VIV_HOME: stateDirectory,
  VIV_DAEMON_ENTRY: '/nonexistent/daemon.js',
  VIV_HOST_NAMES: 'none', // /etc/hosts is this VM's
  ...more,
});

export function start(
  stateDirectory: string,
  args: readonly string[],
  options: { input?: string | Buffer; env?: Record<string, string> } = {},
): Running {
  const child = spawn(process.execPath, [entry, ...args], {
    env: cleanEnv(stateDirectory, options.env),
    stdio: 'pipe',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  const texts = { stdout: '', stderr: '' };
  const waiting = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      for (const look of waiting) look();
    });
  }
  child.stdin.on('error', () => {});
  if (options.input !== undefined) child.stdin.end(options.input);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...texts }));
  });
  return {
    pid: child.pid ?? -1,
    ended,
    kill: (signal) => void child.kill(signal),
    shows: (stream, text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!texts[stream].includes(text)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        void ended.then((end) =>
          reject(new Error(`it ended (${end.code}) without ${JSON.stringify(text)} on ${stream}: ${end.stdout}${end.stderr}`)),
        );
      }),
  };
}

export const viv = (
  stateDirectory: string,
  args: readonly string[],
  options: { input?: string | Buffer; env?: Record<string, string> } = {},
): Promise<Ended> => start(stateDirectory, args, { input: '', ...options }).ended;
