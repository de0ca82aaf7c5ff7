// Having systemd start the daemon with the host, or no longer.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import type { BootUnit } from './boot-unit.ts';

const timeoutMs = 60_000;

export interface Systemd {
  readonly unit: BootUnit;
  readonly uid: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Writes the unit and enables it. Resolves with what the user should know beside that; empty: nothing. */
export async function enableAtBoot(systemd: Systemd): Promise<string> {
  const { unit, uid } = systemd;
  needSystemd();
  const hint = uid === 0 ? '' : await keepUserManager(systemd);
  await mkdir(dirname(unit.file), { recursive: true });
  await writeFile(unit.file, unit.text, { mode: 0o644 });
  try {
    await systemctl(systemd, 'daemon-reload');
    await systemctl(systemd, 'enable', unit.name);
  } catch (error) {
    await rm(unit.file, { force: true });
    throw error;
  }
  return hint;
}

/** The other way round; the daemon that runs goes on. Nothing where there is no unit. */
export async function disableAtBoot(systemd: Systemd): Promise<void> {
  if (!existsSync(systemd.unit.file)) return;
  needSystemd();
  await systemctl(systemd, 'disable', systemd.unit.name);
  await rm(systemd.unit.file, { force: true });
  await systemctl(systemd, 'daemon-reload');
}

/** Starts the daemon as the unit, so that it belongs to no login. */
export const startUnit = (systemd: Systemd): Promise<void> => systemctl(systemd, 'start', systemd.unit.name);

function needSystemd(): void {
  if (existsSync('/run/systemd/system')) return;
  throw new VivError(
    'unsupported',
    'this host was not started by systemd, so nothing was set up; have its own service manager run at boot: viv daemon',
  );
}

/** A user's units run while the user is logged in, unless they linger. */
async function keepUserManager({ env, uid, signal }: Systemd): Promise<string> {
  const lingers = await run('loginctl', ['enable-linger', String(uid)], env, signal).then(
    () => '',
    () => `until root runs loginctl enable-linger ${uid} it starts at this user’s first login, not with the host`,
  );
  if (lingers !== '') return lingers;
  const end = performance.now() + 30_000;
  while (!existsSync(`/run/user/${uid}/systemd/private`) && performance.now() < end) await delay(50, undefined, { signal });
  return '';
}

function systemctl({ env, uid, signal }: Systemd, ...args: string[]): Promise<void> {
  // Who comes by su or sudo has no XDG_RUNTIME_DIR, where the user's own systemd listens.
  const own = uid === 0 ? env : { ...env, XDG_RUNTIME_DIR: env['XDG_RUNTIME_DIR'] || `/run/user/${uid}` };
  return run('systemctl', [...(uid === 0 ? [] : ['--user']), ...args], own, signal);
}

function run(program: string, args: string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, signal, timeout: timeoutMs }, (error, _stdout, stderr) => {
      if (error === null) return resolve();
      if (signal.aborted) return reject(signal.reason);
      const words = stderr.trim() || error.message;
      reject(new VivError('unsupported', `${program} ${args.join(' ')} failed: ${words}`, { cause: error }));
    });
  });
}
