// Asking systemd: the system's for root, the user's own for everybody else.
import { execFile } from 'node:child_process';
import { VivError } from '../contract/errors.ts';

const timeoutMs = 60_000;

export interface Asking {
  readonly uid: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with what it printed. @throws unsupported with systemctl's words */
export function systemctl({ env, uid, signal }: Asking, ...args: string[]): Promise<string> {
  // Who comes by su or sudo has no XDG_RUNTIME_DIR, where the user's own systemd listens.
  const own = uid === 0 ? env : { ...env, XDG_RUNTIME_DIR: env['XDG_RUNTIME_DIR'] || `/run/user/${uid}` };
  return ask('systemctl', [...(uid === 0 ? [] : ['--user']), ...args], { uid, env: own, signal });
}

/** The same for other programs of systemd. */
export function ask(program: string, args: string[], { env, signal }: Asking): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, timeout: timeoutMs, ...(signal ? { signal } : {}) }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal?.aborted) return reject(signal.reason);
      const late = error.killed ? `it had not ended after ${timeoutMs / 1000} s` : '';
      const words = stderr.trim() || late || (stdout.trim() ? stdout.trim() : error.message);
      reject(new VivError('unsupported', `${program} ${args.join(' ')} failed: ${words}`, { cause: error }));
    });
  });
}
