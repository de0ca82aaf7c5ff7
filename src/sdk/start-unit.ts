// Starts the daemon as the systemd unit of its state directory, where that is enabled: only then does systemd restart it after a failure
// and have it shut guests down with the host. A daemon started beside the unit would occupy the state directory until the next boot.
import { lstat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import { knock } from './knock.ts';
import type { HostDirectories } from './paths.ts';
import { type Asking, systemctl } from './systemctl.ts';
import { type UnitName, unitOf } from './unit.ts';

/** On an emulated host a start takes 15 s, and longer where many VMs are adopted. */
const deadlineMs = 60_000;
const lookEveryMs = 100;
/** Of these looks every so many asks systemd whether it still runs. */
const askEvery = 10;

/**
 * Resolves with true when the daemon answers; with false where no unit is enabled for this state directory, or where the unit does not get
 * there: `said` is called with the reason then.
 */
export async function startAsUnit(options: Asking & { paths: HostDirectories; said: (reason: string) => void }): Promise<boolean> {
  const unit = unitOf(options.env, options.uid, options.paths.stateDirectory);
  if (!(await isEnabled(unit))) return false;
  try {
    await systemctl(options, 'start', unit.name);
    const why = await answers(unit, options);
    if (why === null) return true;
    options.said(beside(unit, options.uid, why));
  } catch (error) {
    options.signal?.throwIfAborted();
    await refuseWhileStopping(options);
    options.said(beside(unit, options.uid, (error as Error).message));
  }
  return false;
}

/** Enabled, and for this home: the same name may stand for another where XDG_STATE_HOME differs. */
async function isEnabled({ name, file, desiredBy, description }: UnitName): Promise<boolean> {
  const link = join(dirname(file), `${desiredBy}.target.wants`, name);
  if ((await lstat(link).catch(() => null)) === null) return false;
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').includes(description);
}

/** Null when it does; else why it does not. */
async function answers({ name }: UnitName, { paths, ...asking }: Asking & { paths: HostDirectories }): Promise<string | null> {
  const end = performance.now() + deadlineMs;
  for (let looks = 1; performance.now() < end; looks++) {
    const there = await knock(paths.apiSocket, asking.signal).then(
      () => true,
      () => false,
    );
    if (there) return null;
    asking.signal?.throwIfAborted();
    if (looks % askEvery === 0) {
      const state = (await systemctl(asking, 'show', '--property=ActiveState', '--value', name)).trim();
      if (state !== 'active') return `it is ${state || 'not there'} again`;
    }
    await delay(lookEveryMs, undefined, asking.signal ? { signal: asking.signal } : {});
  }
  return `it does not answer after ${deadlineMs / 1000} s`;
}

/** A daemon that came now would start again what has just been shut down. */
async function refuseWhileStopping(asking: Asking): Promise<void> {
  const state = await systemctl(asking, 'show', '--property=SystemState', '--value').catch(() => '');
  if (state.trim() !== 'stopping') return;
  const what = asking.uid === 0 ? 'this host' : 'this user’s systemd';
  throw new VivError('unavailable', `${what} is shutting down, so the daemon is not started`);
}

const beside = ({ name }: UnitName, uid: number, why: string): string =>
  `${name} does not start (${why}), so the daemon is started without systemd, which will not start it again nor shut guests down with the host; ` +
  `see: ${journal(name, uid)}`;

const journal = (name: string, uid: number): string => `journalctl ${uid === 0 ? '' : '--user '}-u ${name}`;
