// Where a host instance is on disk: its state directory, the folder of its sockets, and the daemon's socket and log. What a client has to know; the
// daemon's further names are in host/paths.ts.
// A Unix socket's path has at most 107 bytes, so sockets get a short folder of their own where the state directory is deep.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export interface HostDirectories {
  /** Root of everything durable. */
  readonly stateDirectory: string;
  /** Sockets, pids and locks of the daemon. */
  readonly run: string;
  /** The daemon's API. */
  readonly apiSocket: string;
  readonly daemonLog: string;
}

const longestSocket = '/vms/0123456789ab/serial.sock'.length;

/** From the environment: VIV_HOME (relative to the working directory), or root's own places, or the XDG state folder. */
export function hostDirectories(env: Readonly<Record<string, string | undefined>>, uid: number): HostDirectories {
  const asked = env['VIV_HOME'] ? resolve(env['VIV_HOME']) : undefined;
  const state = env['XDG_STATE_HOME'] ?? '';
  const userState = isAbsolute(state) ? state : join(env['HOME'] || homedir(), '.local/state');
  const stateDirectory = asked ?? (uid === 0 ? '/var/lib/vivarium' : join(userState, 'vivarium'));
  // Not in XDG_RUNTIME_DIR: callers through sudo or from a service have none, but the same daemon; and the system removes that folder
  // when it takes the user to have gone, while VMs keep running.
  const run = asked === undefined && uid === 0 ? '/run/vivarium' : shortRun(join(stateDirectory, 'run'), stateDirectory, uid);
  return { stateDirectory, run, apiSocket: join(run, 'api.sock'), daemonLog: join(stateDirectory, 'daemon.log') };
}

/** `desired`, or a folder under /tmp derived from the state directory where sockets in `desired` would have too long a path. */
function shortRun(desired: string, stateDirectory: string, uid: number): string {
  if (Buffer.byteLength(desired) + longestSocket <= 107) return desired;
  return `/tmp/viv-${uid}-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 12)}`;
}
