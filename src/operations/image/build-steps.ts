// What happens inside the throwaway VM of `image.build`: shell scripts, and running one with its output in the task's log.

import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { VmConnection } from '../../vm/connection.ts';

type Agent = NonNullable<VmConnection['agent']>;

/** Installs "$@" with the package manager that is there. */
export const installPackages = `set -e
if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi
[ $# -eq 0 ] && exit 0
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  exec apt-get install -q -y --no-install-recommends -- "$@"
fi
if command -v dnf >/dev/null; then exec dnf install -y -- "$@"; fi
if command -v zypper >/dev/null; then exec zypper --non-interactive install -- "$@"; fi
if command -v apk >/dev/null; then exec apk add -- "$@"; fi
echo 'this system has no package manager that is known: apt-get, dnf, zypper, apk' >&2
exit 1
`;

/** Runs command number $1, which is $2, unless it has been run to its end before: the step may come again after a crash. */
export const runCommandOnce = `mark=/var/lib/vivarium-build/$1
[ -e "$mark" ] && exit 0
mkdir -p "\${mark%/*}"
/bin/sh -c "$2" || exit
: >"$mark"
`;

/** Takes away what makes a VM this one and no other, and what only the build needed. */
export const forgetIdentity = `rm -rf /var/lib/vivarium-build
if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi
if command -v apt-get >/dev/null; then apt-get clean; rm -rf /var/lib/apt/lists/*; fi
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/dbus/machine-id /var/lib/systemd/random-seed
[ -e /etc/machine-id ] && : >/etc/machine-id
rm -f /root/.bash_history /root/.ash_history
fstrim / 2>/dev/null
sync
exit 0
`;

export interface ScriptRun {
  readonly agent: Agent;
  /** For the message when it fails: "install packages". */
  readonly doing: string;
  readonly script: string;
  readonly args?: readonly string[];
  readonly signal: AbortSignal;
  log(line: string): void;
}

/** Runs a script to its end. Throws guest_failed with its last words, or the signal's reason. */
export async function runScript({ agent, doing, script, args = [], signal, log }: ScriptRun): Promise<void> {
  signal.throwIfAborted();
  const channel = agent.exec({
    command: ['/bin/sh', '-c', script, 'sh', ...args],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8' },
  });
  const stop = () => channel.close();
  signal.addEventListener('abort', stop, { once: true });
  const last: string[] = [];
  const tell = async (stream: Readable) => {
    for await (const line of createInterface({ input: stream })) {
      log(line);
      if (last.push(line) > 3) last.shift();
    }
  };
  try {
    channel.stdin.end();
    const [end] = await Promise.all([channel.ended, tell(channel.stdout), tell(channel.stderr)]);
    signal.throwIfAborted();
    if (end.exitCode === 0) return;
    throw new VivError(
      'guest_failed',
      `could not ${doing}: it ended with ${end.signal ?? `exit code ${end.exitCode}`}${last.length > 0 ? `: ${last.join(' | ').slice(-500)}` : ''}`,
    );
  } catch (error) {
    signal.throwIfAborted(); // closed by us: the reason says more than the broken channel
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
