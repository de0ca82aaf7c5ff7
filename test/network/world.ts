// A host's network of its own for a test, and an outside that it is joined to, both of them namespaces: nothing of the VM that the
// test runs on is touched. They end with the test's process.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Addresses of the host there, and of somebody in the outside. */
export const hostAddress = '192.0.2.9';
export const outsideAddress = '198.51.100.7';

export interface World extends AsyncDisposable {
  /** What the daemon's environment needs to be started in the host's network (daemon-inside.ts). */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a shell command in one of them; its output. @throws where it fails */
  run(where: 'host' | 'outside', command: string): string;
  /** The same on the host, where the host's names (/etc/hosts) are those that its daemon has told. */
  runNamed(command: string): string;
  /** Starts a program in one of them, which ends with the world. */
  start(where: 'host' | 'outside', words: readonly string[]): ChildProcess;
}

/** Why there can be none here; false where there can. */
export const noWorld = ((): string | false => {
  if (process.getuid?.() !== 0) return 'it takes root to give the daemon a network of its own';
  for (const program of ['nft', 'ip', 'dnsmasq', 'nsenter', 'unshare'])
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed`;
  return spawnSync('unshare', ['--net', 'true']).status === 0 ? false : 'no namespaces can be made here';
})();

export async function makeWorld(): Promise<World> {
  // Read by startDaemon in this process.
  process.env['VIV_DAEMON_ENTRY'] = fileURLToPath(new URL('./daemon-inside.ts', import.meta.url));
  const [host, outside] = await Promise.all([hold(), hold()]);
  const pids = { host: host.pid as number, outside: outside.pid as number };
  const [number] = /\d+/.exec(readlinkSync(`/proc/${pids.host}/ns/net`)) ?? [];
  const started: ChildProcess[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'viv-world-'));
  const names = join(folder, 'hosts');
  await writeFile(names, '127.0.0.1 localhost\n');
  const enter = (where: 'host' | 'outside') => [`--net=/proc/${pids[where]}/ns/net`, '--'];
  const world: World = {
    env: { VIV_TEST_NETWORK: `/proc/${pids.host}/ns/net`, VIV_HOST_NAMES: names },
    run: (where, command) =>
      execFileSync('nsenter', [...enter(where), 'sh', '-c', command], {
        encoding: 'utf8',
        timeout: 120_000,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    runNamed: (command) => world.run('host', `unshare --mount sh -c 'mount --bind ${names} /etc/hosts || exit; ${command}'`),
    start(where, words) {
      const child = spawn('nsenter', [...enter(where), ...words], { stdio: ['ignore', 'ignore', 'ignore'] });
      started.push(child);
      return child;
    },
    async [Symbol.asyncDispose]() {
      for (const child of [...started, host, outside]) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true });
      // Of a daemon that was killed: another namespace may have the number next.
      await rm(`/run/vivarium-forwarding-${number}.json`, { force: true });
    },
  };
  // A new namespace has what the VM has now.
  for (const where of ['host', 'outside'] as const)
    world.run(where, 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding');
  world.run(
    'host',
    `ip link set lo up; ip link add name e0 type veth peer name e1 netns ${pids.outside}; ip address add ${hostAddress}/24 dev e0; ip address add 2001:db8:1::9/64 dev e0 nodad; ip link set e0 up`,
  );
  world.run(
    'outside',
    `ip link set lo up; ip address add 192.0.2.1/24 dev e1; ip address add 2001:db8:1::1/64 dev e1 nodad; ip address add ${outsideAddress}/32 dev lo; ip address add 2001:db8:2::7/128 dev lo; ip link set e1 up`,
  );
  world.run('host', 'ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1');
  return world;
}

async function hold(): Promise<ChildProcess> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}
