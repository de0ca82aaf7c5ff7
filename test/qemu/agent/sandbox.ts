// A guest made of namespaces: its own host name, network, processes and mounts, with /etc, /var/lib and /run of its own, so that an
// agent may change all of them. It cannot reach the host: the agent itself refuses where a namespace is the host's.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const namespaces = ['--mount', '--uts', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
const own = process.getuid?.() === 0 ? namespaces : ['--user', '--map-root-user', ...namespaces];

/** Why there can be no sandbox here; false where there can. */
export const noSandbox = (() => {
  const tried = spawnSync(
    'unshare',
    [...own, 'sh', '-c', 'mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link add v0 type veth peer name v1'],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  return tried.status === 0 ? false : `cannot create namespaces here: ${tried.error?.message ?? tried.stderr.trim()}`;
})();

export interface Sandbox {
  /** Put before a program and its arguments. */
  readonly command: readonly string[];
  readonly env: Record<string, string>;
}

/** @param files the guest's files below /etc, /var/lib and /run @param setup shell commands that run in it first */
export function sandbox(folder: string, files: Readonly<Record<string, string>>, setup = ''): Sandbox {
  for (const name of ['etc', 'var/lib', 'run']) mkdirSync(join(folder, name), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content, { mode: name.endsWith('_key') ? 0o600 : 0o755 });
  }
  const script = `set -e; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /sys/bus; for part in etc var/lib run; do mount --bind "$0/$part" "/$part"; done; ${setup}\nexec "$@"`;
  return {
    command: ['unshare', ...own, 'sh', '-c', script, folder],
    env: { VIVARIUM_OUTSIDE: ['uts', 'net', 'mnt', 'pid'].map((name) => readlinkSync(`/proc/self/ns/${name}`)).join(' ') },
  };
}
