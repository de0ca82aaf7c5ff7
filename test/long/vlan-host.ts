// A host with VLANs: runs in a Debian guest (vlan.test.ts), because its kernel has 802.1Q. Brings networks about as the daemon does, has
// VMs' taps played (vlan-guests.ts), and says as JSON what was heard where. As an ordinary user with the word `user`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { streamProgram } from '../../src/host/file/stream.ts';
import { runOk, runProgram } from '../../src/host/process/run.ts';
import { hasVhost } from '../../src/network/capability.ts';
import { NetworkReconciler } from '../../src/network/kernel/reconciler.ts';
import { macOf, sendings, stateDirectory, streetJoint, tapFor, times, until, world } from './vlan-frames.ts';
import type { Play, Played } from './vlan-guests.ts';

const asUser = process.argv[2] === 'user';
const folder = `${stateDirectory}${asUser ? '-user' : ''}/run`;
const deadlineMs = 30_000;
process.env['UV_THREADPOOL_SIZE'] = '32'; // a thread for each tap that is listened to

export interface Report {
  readonly kernel: string;
  readonly vlans: boolean;
  readonly vhost: boolean;
  /** What vivarium-net-tap has handed on: a tap and vhost-net. */
  readonly opened: readonly string[];
  readonly tracking: readonly string[];
  readonly plays: Readonly<Record<string, Played>>;
  /** tcpdump's words for frames on the wire, each kind once with its number. */
  readonly wire: Readonly<Record<'trunk' | 'street', Readonly<Record<string, number>>>>;
  /** Interfaces that a returning daemon has changed although all was right, and those it has changed after somebody else had. */
  readonly touched: { readonly right: readonly string[]; readonly wrong: readonly string[] };
  readonly problems: readonly string[];
}

let desired = world(!asUser);
const problems: string[] = [];
/** Another one in the same folder is the next daemon's. */
const daemon = (): NetworkReconciler =>
  new NetworkReconciler({
    ...{ stateDirectory, folder, env: process.env, desired: () => desired },
    ...{ onProblem: () => {}, hostNames: null },
    log: (error, message) => problems.push(`${message}: ${error instanceof Error ? error.message : JSON.stringify(error)}`),
  });

const run = ([program = '', ...args]: readonly string[], input = ''): Promise<string> =>
  runOk(program, args, { timeoutMs: deadlineMs, input });
const inside = async (networks: NetworkReconciler, ...words: readonly string[]): Promise<string> =>
  run([...(await networks.inside()), ...words]);

/** Beyond street0: one who knows 802.1Q, with an address in VLAN 5 and one outside of all. */
async function makeStreet(): Promise<void> {
  const commands = [
    'ip netns add beyond',
    'ip link add name street0 type veth peer name street1 netns beyond',
    'ip link set street0 up',
    'ip -n beyond link set street1 up',
    'ip -n beyond address add 10.77.1.1/24 dev street1',
    'ip -n beyond link add link street1 name street5 type vlan id 5',
    'ip -n beyond link set street5 up',
    'ip -n beyond address add 10.77.5.1/24 dev street5',
    // An address answers at its own interface only.
    'ip netns exec beyond sysctl -qw net.ipv4.conf.all.arp_ignore=1',
  ];
  for (const command of commands) await run(command.split(' '));
}

/** Taps are handed out as they are to QEMU. */
async function play(networks: NetworkReconciler): Promise<Played> {
  const { programs } = await networks.able();
  const taps = Object.fromEntries(desired.ports.map(({ owner }, nth) => [owner, 10 + nth]));
  const handed = Object.entries(taps).map(([name, fd]) => `${fd}:${tapFor(name)}`);
  const [first = '', ...rest] = [...(await networks.inside()), programs.tap, 'run', ...handed, '--'];
  const input = JSON.stringify({ taps, sendings: sendings(!asUser), until: until(!asUser), deadlineMs: 20_000 } satisfies Play);
  const words = [...rest, process.execPath, join(import.meta.dirname, 'vlan-guests.js')];
  const { stdout, stderr } = await runProgram(first, words, { timeoutMs: 2 * deadlineMs, input, keepBytes: 1 << 24 });
  if (stdout === '') throw new Error(`nothing was played: ${stderr}`);
  return JSON.parse(stdout) as Played;
}

/** Frames of a capture as tcpdump tells them, without lengths and addresses that are always the same. */
async function told(pcap: Readable): Promise<Record<string, number>> {
  const { stdout } = spawnSync('tcpdump', ['-e', '-n', '-t', '-r', '-'], {
    input: await buffer(pcap),
    encoding: 'utf8',
    timeout: deadlineMs,
  });
  const counts: Record<string, number> = {};
  for (const line of stdout.trim().split('\n')) {
    const words = line.replace(/, length \d+(?=:)|: UDP, length \d+$/g, '');
    counts[words] = (counts[words] ?? 0) + 1;
  }
  return counts;
}

/** The first play, watched at the trunk's tap and beyond the bridged network's interface. */
async function watched(networks: NetworkReconciler): Promise<Pick<Report, 'wire'> & { played: Played }> {
  const signal = AbortSignal.timeout(2 * deadlineMs);
  const filter = `vlan and udp port 4000 and not ether src ${macOf('trunk')}`;
  const trunk = await (await networks.monitor())?.capture(tapFor('trunk'), { filter, packets: 2 * times }, signal);
  if (!trunk) throw new Error('the trunk has no tap');
  const words = [
    'netns',
    'exec',
    'beyond',
    'tcpdump',
    '-i',
    'street1',
    '-U',
    '-w',
    '-',
    '-c',
    `${2 * times}`,
    'udp port 4000 or (vlan and udp port 4000)',
  ];
  const street = await streamProgram('ip', words, { timeoutMs: deadlineMs, signal });
  const [played, ...wire] = await Promise.all([play(networks), told(trunk), told(street)]);
  return { played, wire: { trunk: wire[0], street: wire[1] } };
}

/** The kernel tells of taps that nobody has any more, and of the bridge that they were all of, when it comes to it. */
async function settled(networks: NetworkReconciler): Promise<void> {
  const signal = AbortSignal.timeout(deadlineMs);
  const down = (text: string) => !/"ifname":"(t|br-lan)[^}]*"operstate":"(?!DOWN)/.test(text);
  while (!down(await inside(networks, 'ip', '-json', 'link', 'show'))) signal.throwIfAborted();
}

/** Interfaces that the kernel tells of while something is done. */
async function touched(networks: NetworkReconciler, what: () => Promise<unknown>): Promise<string[]> {
  await settled(networks);
  const signal = AbortSignal.timeout(deadlineMs);
  const [program = '', ...args] = [...(await networks.inside()), 'sh', '-c', 'echo begin; exec ip -o monitor link'];
  const monitor = await streamProgram(program, args, { timeoutMs: deadlineMs, signal });
  let text = '';
  monitor.on('data', (more) => {
    text += more;
  });
  const names = () => [...text.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name ?? '');
  // It hears by now when it has heard of what is done for that alone.
  const heard = async () => {
    const before = names().filter((name) => name === 'lo').length;
    for (let nth = 0; names().filter((name) => name === 'lo').length === before; nth++) {
      signal.throwIfAborted();
      await inside(networks, 'ip', 'link', 'set', 'dev', 'lo', 'alias', `heard${before}.${nth}`);
    }
  };
  try {
    await heard();
    await what();
    await heard();
  } finally {
    monitor.destroy();
  }
  return [...new Set(names())].filter((name) => name !== 'lo');
}

async function opened(networks: NetworkReconciler): Promise<string[]> {
  const { programs } = await networks.able();
  const fds = ['/proc/self/fd/10', '/proc/self/fd/11'];
  return (await inside(networks, programs.tap, 'run', `10:${tapFor('a5')}:11`, '--', 'readlink', ...fds)).trim().split('\n');
}

/** What a clumsy administrator, or a bridge that was lost, leaves behind. */
async function spoil(networks: NetworkReconciler): Promise<void> {
  const commands = [
    `bridge vlan add dev ${tapFor('a6')} vid 5 pvid untagged`,
    `bridge vlan del dev ${tapFor('trunk')} vid 6`,
    `bridge vlan add dev ${tapFor('trunk')} vid 7`,
    `ip link set dev ${tapFor('a5')} nomaster`,
    ...(asUser ? [] : [`bridge vlan del dev ${streetJoint} vid 5`]),
  ];
  for (const command of commands) await inside(networks, ...command.split(' '));
}

async function report(): Promise<Report> {
  if (!asUser) await makeStreet();
  const plays: Record<string, Played> = {};
  const first = daemon();
  const { vlans, tracking } = await first.able();
  const vhost = await hasVhost();
  await first.apply();
  const { wire, played } = asUser ? { wire: { trunk: {}, street: {} }, played: await play(first) } : await watched(first);
  plays['at first'] = played;

  const next = daemon();
  const right = await touched(first, () => next.apply());
  await spoil(next);
  const wrong = await touched(next, () => daemon().apply());
  // A cable is pulled and put in again.
  const { ports } = desired;
  for (const up of [false, true]) {
    desired = { ...desired, ports: ports.map((port) => (port.owner === 'b5' ? { ...port, up } : port)) };
    next.invalidate();
    await next.apply();
  }
  plays['after somebody else’s changes'] = await play(next);
  const handed = vhost ? await opened(next) : [];
  await next.end();

  const kernel = (await run(['uname', '-r'])).trim();
  const sofar = { kernel, vlans, vhost, opened: handed, wire, touched: { right, wrong }, problems, plays };
  if (asUser) return { ...sofar, tracking: [tracking] };
  // The other way in which kernels follow connections.
  await run(['modprobe', 'br_netfilter']);
  const last = daemon();
  const after = await last.able();
  await last.apply();
  plays['with br_netfilter'] = await play(last);
  await last.end();
  return { ...sofar, tracking: [tracking, after.tracking] };
}

if (process.argv[1]?.endsWith('vlan-host.js')) console.log(JSON.stringify(await report()));
