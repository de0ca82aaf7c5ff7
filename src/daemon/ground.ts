// What everything else of the daemon stands on: the state directory with its lock, the log, and what does not change while the daemon runs.
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Clock } from '../host/clock.ts';
import { makeFolder } from '../host/file/folder.ts';
import { type Lock, lockDaemon } from '../host/file/lock.ts';
import { openLog } from '../host/log.ts';
import { type Paths, pathsIn } from '../host/paths.ts';
import { hostDirectories } from '../sdk/paths.ts';

export interface Ground {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly uid: number;
  /** Boot id of the host's kernel. */
  readonly bootId: string;
  readonly paths: Paths;
  readonly lock: Lock;
  readonly log: Logger;
  /** Aborted when the daemon stops, after its tasks have. */
  readonly stopping: AbortController;
}

/** Creates the folders of the state directory that `env` names, and locks it. @throws unavailable when another daemon holds the lock */
export async function openGround(env: NodeJS.ProcessEnv, clock: Clock): Promise<Ground> {
  process.umask(0o077); // a file that others may read is given its mode explicitly
  const uid = process.getuid?.() ?? 0;
  const paths = pathsIn(hostDirectories(env, uid), env);
  const { stateDirectory, images, vms, layers, snapshots, checksums, staging, cache, run } = paths;
  // Other users pass through root's: its VMs', those of image builds, and accounts that use its socket and images.
  for (const folder of [stateDirectory, images, vms, staging, cache, run]) await makeFolder(folder, uid === 0 ? 0o711 : 0o700);
  for (const folder of [layers, snapshots, checksums]) await makeFolder(folder, 0o700);
  const lock = await lockDaemon(paths.daemonLock);
  const log = openLog(paths.daemonLog, env);
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { env, clock, uid, bootId, paths, lock, log, stopping: new AbortController() };
}
