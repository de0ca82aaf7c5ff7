// From one VM to another of the same network: iperf3 and ping in the guests, for VMs of Vivarium and for two bare QEMUs with the same arguments,
// whose taps are on a bridge without rules, in a namespace of its own. All four run, and are measured in turns: what a host below does to one
// it does to the other. Run as root; iperf3 is the host's, copied into the guests.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { tapProgram } from '../src/host/guest-asset.ts';
import { tapOf } from '../src/network/kernel/interface-names.ts';
import { connectAgent } from '../src/qemu/agent/client.ts';
import type { Vm } from '../src/sdk/index.ts';
import { bareRun, plainArgumentsOf } from './bare-qemu.ts';
import { type Figure, median, roundsOr } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';

const rounds = roundsOr(9);
const seconds = 3;
const pings = 200;

/** Runs a shell script in a guest; what it printed. */
type Guest = (script: string) => Promise<string>;

interface Passed {
  readonly mbits: number[];
  readonly pingMs: number[];
}

export const traffic = () =>
  withStateDirectory<Figure[]>(async ({ client }) => {
    const program = execFileSync('sh', ['-c', 'command -v iperf3'], { encoding: 'utf8' }).trim();
    const needed = [program, ...(execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [])];
    const [one, two, third, fourth] = await Promise.all(
      ['one', 'two', 'three', 'four'].map(async (name) => {
        const vm = await client.run('tiny', { name, networks: ['default'] });
        await inVm(vm)('mkdir -p /root/iperf');
        for (const file of needed)
          await vm.copyTo(execFileSync('realpath', [file], { encoding: 'utf8' }).trim(), `/root/iperf/${file.split('/').at(-1)}`);
        await inVm(vm)('sync');
        return vm;
      }),
    );
    if (!one || !two || !third || !fourth) throw new Error('there are four VMs');
    const target = (await client.vm.show({ vm: 'two' })).nics[0]?.addresses[0] ?? '';
    const ours = { mbits: [], pingMs: [] };
    const bare = { mbits: [], pingMs: [] };
    const models = [third, fourth].map(({ id, info }) => ({ id, command: plainArgumentsOf(info.pid ?? 0) }));
    for (const vm of [third, fourth]) await vm.stop();
    const pair = { from: inVm(one), to: inVm(two), target };
    await withBridge((holder) =>
      withBare(holder, models, async (from, to) => {
        const barePair = { from, to, target: '10.9.9.2' };
        for (const each of [pair, barePair]) await prepare(each);
        for (let round = 0; round < rounds; round++)
          for (const [each, passed] of round % 2 === 0
            ? [[pair, ours] as const, [barePair, bare] as const]
            : [[barePair, bare] as const, [pair, ours] as const])
            await measure(each, passed);
      }),
    );
    const ratios = (one: readonly number[], other: readonly number[]) =>
      median(one.map((value, round) => value / (other[round] ?? Number.NaN)));
    return [
      { name: 'iperf3 from VM to VM, median', value: median(ours.mbits), unit: 'Mbit/s', target: null },
      { name: 'the same between two bare QEMUs on a bare bridge', value: median(bare.mbits), unit: 'Mbit/s', target: null },
      { name: `bare / ours, median of ${rounds} pairs`, value: ratios(bare.mbits, ours.mbits), unit: 'x', target: 1.05 },
      { name: `ping from VM to VM, mean of ${pings}, median`, value: median(ours.pingMs), unit: 'ms', target: null },
      { name: 'the same between two bare QEMUs', value: median(bare.pingMs), unit: 'ms', target: null },
      { name: `ping, ours / bare, median of ${rounds} pairs`, value: ratios(ours.pingMs, bare.pingMs), unit: 'x', target: 1.05 },
    ];
  });

interface Pair {
  readonly from: Guest;
  readonly to: Guest;
  readonly target: string;
}

const iperf = 'LD_LIBRARY_PATH=/root/iperf /root/iperf/ld-linux-x86-64.so.2 /root/iperf/iperf3';

async function prepare({ from, to, target }: Pair): Promise<void> {
  await to(`${iperf} -s -D >/dev/null`);
  await from(`for i in $(seq 100); do ping -c1 -W1 ${target} >/dev/null && exit 0; sleep 0.1; done; exit 1`);
}

async function measure({ from, target }: Pair, passed: Passed): Promise<void> {
  const told = JSON.parse(await from(`${iperf} -c ${target} -t ${seconds} -J`)) as {
    end: { checksum_received: { bits_per_second: number } };
  };
  passed.mbits.push(told.end.checksum_received.bits_per_second / 1e6);
  const text = await from(`ping -c ${pings} -i 0.01 ${target} | tail -1`);
  passed.pingMs.push(Number(/= [\d.]+\/([\d.]+)\//.exec(text)?.[1]));
}

/** Two bare QEMUs with these arguments, whose taps are on the bridge, for as long as `act` takes. */
async function withBare(
  holder: number,
  models: readonly { id: string; command: string[] }[],
  act: (first: Guest, last: Guest) => Promise<void>,
): Promise<void> {
  const program = (await tapProgram()) ?? '';
  const running = [];
  try {
    for (const { id, command } of models) {
      const tap = tapOf(id, 'net0');
      inside(holder, `ip tuntap add dev ${tap} mode tap vnet_hdr && ip link set dev ${tap} master br0 up`);
      const fdOf = (name: string) => new RegExp(`"${name}":"(\\d+)"`).exec(command.join('\n'))?.[1];
      const vhost = fdOf('vhostfd');
      const handed = `${fdOf('fd')}:${tap}${vhost === undefined ? '' : `:${vhost}`}`;
      const through = ['nsenter', `--net=/proc/${holder}/ns/net`, '--', program, 'run', handed, '--'];
      running.push(await bareRun(command, { through }));
    }
    const guests = await Promise.all(models.map(({ command }) => inBare(/path=([^,]*agent\.sock)/.exec(command.join('\n'))?.[1] ?? '')));
    for (const [nth, guest] of guests.entries())
      await guest(
        `for i in $(seq 100); do killall udhcpc 2>/dev/null && break; sleep 0.1; done; ip link set eth0 up; ip address flush dev eth0; ip address add 10.9.9.${nth + 1}/24 dev eth0`,
      );
    await act(...(guests as [Guest, Guest]));
  } finally {
    for (const { end } of running) await end();
  }
}

const inVm =
  (vm: Vm): Guest =>
  async (script) => {
    const { exitCode, stdout, stderr } = await vm.exec(['sh', '-c', script], { waitMs: 60_000 });
    if (exitCode !== 0) throw new Error(`${script} in ${vm.name} ended with ${exitCode}: ${stderr} ${stdout}`);
    return String(stdout);
  };

async function inBare(socket: string): Promise<Guest> {
  const agent = await connectAgent(socket, { signal: AbortSignal.timeout(300_000), timeoutMs: 120_000 });
  return async (script) => {
    const channel = agent.exec({ command: ['sh', '-c', script], env: {} });
    channel.stdin.end();
    const [stdout, { exitCode }] = await Promise.all([buffer(channel.stdout), channel.ended, buffer(channel.stderr)]);
    if (exitCode !== 0) throw new Error(`${script} in a bare QEMU ended with ${exitCode}`);
    return stdout.toString();
  };
}

const inside = (holder: number, script: string) =>
  execFileSync('nsenter', [`--net=/proc/${holder}/ns/net`, 'sh', '-c', script], { stdio: 'inherit' });

/** A namespace with a bridge and nothing else, for as long as `act` takes. */
async function withBridge(act: (holder: number) => Promise<void>): Promise<void> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  try {
    inside(child.pid ?? 0, 'ip link add name br0 type bridge forward_delay 0 && ip link set dev br0 up');
    await act(child.pid ?? 0);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}
