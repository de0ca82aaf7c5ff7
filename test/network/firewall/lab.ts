// A host's network made of namespaces, with real packets: one that stands for Vivarium's (bridges, rules), others for guests and for the outside world,
// joined by veth pairs. All of it is in processes of this test: when they end nothing is left.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const own = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const unshare = [...own, '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const deadlineMs = 60_000;

/** Why there can be none here; false where there can. */
export const noLab = (() => {
  for (const program of ['nft', 'ip', 'tc', 'dnsmasq', 'tcpdump', 'gcc', 'ping']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed`;
  }
  const tried = spawnSync('unshare', [...unshare, 'nft', 'add', 'table', 'bridge', 't'], { encoding: 'utf8', timeout: deadlineMs });
  return tried.status === 0 ? false : `no namespaces can be made here: ${tried.error?.message ?? tried.stderr.trim()}`;
})();

export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  /** The next line it says; its own words on standard error when it ends instead. */
  line(): Promise<string>;
  write(text: string): void;
  stop(): void;
}

export interface Lab {
  /** Runs it to its end. @param where a namespace that add() made; null: the one with the bridges */
  run(where: string | null, words: readonly string[], input?: string): Answer;
  /** Like run, throws unless it ends well. */
  ok(where: string | null, words: readonly string[], input?: string): string;
  start(where: string | null, words: readonly string[]): Running;
  /** What it writes, as bytes; end the reading to end it. */
  bytes(where: string | null, words: readonly string[]): AsyncGenerator<Uint8Array>;
  /** Many lines for `ip -batch`. */
  ip(where: string | null, lines: readonly string[]): void;
  /** A namespace with one interface eth0; the other end is in ours. */
  add(
    where: string,
    iface: string,
    some: { mac: string; addresses: readonly string[]; bridge?: string; gateways?: readonly string[] },
  ): void;
  bridge(name: string, addresses: readonly string[]): void;
  nft(script: string): void;
  /** test/network/firewall/frames.c */
  readonly frames: string;
  close(): void;
}

export function makeLab(): Lab {
  const frames = buildFrames();
  const holder = spawn(
    'unshare',
    [...unshare, 'sh', '-c', 'mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run && mkdir /run/netns && echo ready && read end'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const pid = innerPid(holder);
  const enter = ['--target', `${pid}`, '--net', '--mount', '--pid', ...(own.length > 0 ? ['--user', '--preserve-credentials'] : []), '--'];
  const words = (where: string | null, rest: readonly string[]) => [
    ...enter,
    ...(where === null ? [] : ['ip', 'netns', 'exec', where]),
    ...rest,
  ];
  const lab: Lab = {
    frames,
    run(where, rest, input) {
      const { status, stdout, stderr, error } = spawnSync('nsenter', words(where, rest), {
        encoding: 'utf8',
        timeout: deadlineMs,
        maxBuffer: 1 << 26,
        ...(input === undefined ? {} : { input }),
      });
      if (error) throw error;
      return { status, stdout, stderr };
    },
    ok(where, rest, input) {
      const { status, stdout, stderr } = lab.run(where, rest, input);
      if (status !== 0) throw new Error(`${rest.join(' ')} ended with ${status}: ${stderr.slice(0, 2000)}`);
      return stdout;
    },
    start: (where, rest) => running(spawn('nsenter', words(where, rest), { stdio: ['pipe', 'pipe', 'pipe'], detached: true })),
    async *bytes(where, rest) {
      const child = spawn('nsenter', words(where, rest), { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
      try {
        yield* child.stdout;
      } finally {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid);
      }
    },
    ip: (where, lines) => void lab.ok(where, ['ip', '-batch', '-'], `${lines.join('\n')}\n`),
    add(where, iface, { mac, addresses, bridge, gateways = [] }) {
      lab.ip(null, [
        `netns add ${where}`,
        `link add name ${iface} type veth peer name eth0 address ${mac} netns ${where}`,
        ...(bridge === undefined ? [] : [`link set dev ${iface} master ${bridge}`]),
        `link set dev ${iface} up`,
      ]);
      lab.ok(where, [
        'sh',
        '-c',
        'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/eth0/router_solicitations',
      ]);
      lab.ip(where, [
        'link set lo up',
        'link set eth0 up',
        ...addresses.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
        ...gateways.map((gateway) => `route add default via ${gateway} dev eth0`),
      ]);
    },
    bridge(name, addresses) {
      lab.ip(null, [
        `link add ${name} type bridge nf_call_iptables 1 nf_call_ip6tables 1 mcast_snooping 0`,
        `link set dev ${name} up`,
        ...addresses.map((address) => `addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`),
      ]);
    },
    nft: (script) => void lab.ok(null, ['nft', '-f', '-'], script),
    close: () => void holder.kill('SIGKILL'),
  };
  lab.ok(null, [
    'sh',
    '-c',
    'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up',
  ]);
  return lab;
}

/** Of the shell that unshare waits for, as this test sees it, once it has said that it is ready. */
function innerPid(holder: ChildProcess): number {
  const end = performance.now() + deadlineMs;
  while (performance.now() < end) {
    const child = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
    const mounted =
      child !== '' &&
      spawnSync('nsenter', [
        '--target',
        child,
        '--mount',
        ...(own.length > 0 ? ['--user', '--preserve-credentials'] : []),
        'test',
        '-d',
        '/run/netns',
      ]).status === 0;
    if (mounted && /\/run tmpfs|tmpfs \/run/.test(readFileSync(`/proc/${child}/mounts`, 'utf8'))) return Number(child);
  }
  throw new Error('the namespaces were not there in time');
}

function running(child: ChildProcess): Running {
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  let errors = '';
  let ended: string | null = null;
  child.stderr?.on('data', (data) => {
    errors += data;
  });
  const say = (line: string) => (waiting.shift() ?? ((text: string) => lines.push(text)))(line);
  if (child.stdout) createInterface({ input: child.stdout }).on('line', say);
  child.on('close', (code) => {
    ended = `ended with ${code}: ${errors}`;
    for (const wake of waiting.splice(0)) wake(ended);
  });
  return {
    line: () =>
      new Promise((resolve, reject) => {
        const first = lines.shift();
        if (first !== undefined) return resolve(first);
        if (ended !== null) return resolve(ended);
        const late = setTimeout(() => reject(new Error(`nothing was said for ${deadlineMs} ms: ${errors}`)), deadlineMs);
        waiting.push((line) => {
          clearTimeout(late);
          resolve(line);
        });
      }),
    write: (text) => void child.stdin?.write(text),
    stop: () => {
      if (child.pid !== undefined && ended === null) process.kill(-child.pid); // nsenter waits for what it started
    },
  };
}

/** @param alone for a guest without libraries */
export function buildFrames(alone = false): string {
  const source = fileURLToPath(new URL('frames.c', import.meta.url));
  const program = fileURLToPath(new URL(`../../../.build/firewall-test/frames${alone ? '-alone' : ''}`, import.meta.url));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const words = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', ...(alone ? ['-static'] : []), '-o', fresh, source];
  execFileSync('gcc', words, { stdio: 'pipe' }); // its words are in the error
  renameSync(fresh, program);
  return program;
}
