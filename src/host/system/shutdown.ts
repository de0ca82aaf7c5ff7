// Whether VMs end together with the daemon: the host is shutting down, or the user's systemd, which ends every process of its units. Asked
// when the daemon gets a signal, because it may also be stopped alone, and then VMs keep running.
import { readFile } from 'node:fs/promises';
import { runProgram } from '../process/run.ts';

const deadlineMs = 10_000;

export type GoingDown = 'the host' | 'the user’s systemd';

/** Null where neither is, and where no systemd answers (systemctl(1), is-system-running). */
export async function whatGoesDown(uid: number): Promise<GoingDown | null> {
  if (await isStopping([])) return 'the host';
  return (await isOfUserManager(uid)) && (await isStopping(['--user'])) ? 'the user’s systemd' : null;
}

async function isStopping(whose: readonly string[]): Promise<boolean> {
  const answer = await runProgram('systemctl', [...whose, 'is-system-running'], { timeoutMs: deadlineMs }).catch(() => null);
  return answer?.stdout.trim() === 'stopping';
}

/** It ends when its user has logged out everywhere, unless the user lingers. */
async function isOfUserManager(uid: number): Promise<boolean> {
  const groups = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  return groups.includes(`/user@${uid}.service/`);
}
