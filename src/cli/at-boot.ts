// Having systemd start the daemon with the host, or no longer.
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import { type Asking, ask, systemctl } from '../sdk/systemctl.ts';
import type { BootUnit } from './boot-unit.ts';

export interface Systemd extends Asking {
  readonly unit: BootUnit;
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

/** Disables and removes the unit; a running daemon continues. Does nothing where there is no unit. */
export async function disableAtBoot(systemd: Systemd): Promise<void> {
  if (!existsSync(systemd.unit.file)) return;
  needSystemd();
  await systemctl(systemd, 'disable', systemd.unit.name);
  await rm(systemd.unit.file, { force: true });
  await systemctl(systemd, 'daemon-reload');
}

function needSystemd(): void {
  if (existsSync('/run/systemd/system')) return;
  throw new VivError(
    'unsupported',
    'this host does not run systemd, so nothing was set up. Have its service manager run at boot: viv daemon',
  );
}

/** A user's units run while the user is logged in, unless they linger. */
async function keepUserManager(systemd: Systemd): Promise<string> {
  const { uid, signal } = systemd;
  const lingers = () => ask('loginctl', ['show-user', String(uid), '--property=Linger', '--value'], systemd).catch(() => '');
  if ((await lingers()).trim() !== 'yes') {
    const allowed = await ask('loginctl', ['enable-linger', String(uid)], systemd).catch(() => null);
    if (allowed === null)
      return `until root runs loginctl enable-linger ${uid} it starts at this user’s first login, not with the host, and ends with the last one: guests shut down then`;
  }
  const end = performance.now() + 30_000;
  while (!existsSync(`/run/user/${uid}/systemd/private`) && performance.now() < end) await delay(50, undefined, { signal });
  return '';
}
