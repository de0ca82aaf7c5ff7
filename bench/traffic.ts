// From one machine to another of the same network: iperf3 and ping in the guests, for ours and for two bare QEMUs with the same arguments,
// whose taps are on a bridge without rules, in a namespace of its own. Run as root; iperf3 is the host's, copied into the guests.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { tapProgram } from '../src/host/guest-asset.ts';
import { tapOf } from '../src/network/names.ts';
import { connectAgent } from '../src/qemu/agent/client.ts';
import type { Machine } from '../src/sdk/index.ts';
import { bareRun, plainArgumentsOf } from './bare-qemu.ts';
import { withHome } from './home.ts';
import { type Figure, median, roundsOr } from './measure.ts';

const rounds = roundsOr(3);
const seconds = 4;
const pings = 200;

/** Runs a shell script in a guest; what it printed. */
type Guest = (script: string) => Promise<string>;

interface Passed {
  readonly mbits: number[];
  readonly pingMs: number[];
}

export const traffic = () =>
  withHome<Figure[]>(async ({ client }) => {
    const iperf = execFileSync('sh', ['-c', 'command -v iperf3'], { encoding: 'utf8' }).trim();
    const needed = [iperf, ...(execFileSync('ldd', [iperf], { encoding: 'utf8' }).match(/\/\S+/g) ?? [])];
    const machines: Machine[] = [];
    for (const name of ['one', 'two']) machines.push(await client.run('tiny', { name, networks: ['default'] }));
    for (const vm of machines) {
      await inMachine(vm)('mkdir -p /root/iperf');
      for (const file of needed)
        await vm.copyTo(execFileSync('realpath', [file], { encoding: 'utf8' }).trim(), `/root/iperf/${file.split('/').at(-1)}`);
      await inMachine(vm)('sync');
    }
    const [one, two] = machines as [Machine, Machine];
    const target = (await client.vm.show({ vm: 'two' })).nics[0]?.addresses[0] ?? '';
    const ours = { mbits: [], pingMs: [] };
    const bare = { mbits: [], pingMs: [] };
    const commands = machines.map(({ id, info }) => ({ id, command: plainArgumentsOf(info.pid ?? 0) }));
    await measure(inMachine(one), inMachine(two), target, ours);
    for (const vm of machines) await vm.stop();
    await withBridge(async (holder) => {
      const program = (await tapProgram()) ?? '';
      const running = [];
      try {
        for (const { id, command } of commands) {
          const tap = tapOf(id, 'net0');
          inside(holder, `ip tuntap add dev ${tap} mode tap vnet_hdr && ip link set dev ${tap} master br0 up`);
          const fdOf = (name: string) => new RegExp(`"${name}":"(\\d+)"`).exec(command.join('\n'))?.[1];
          const vhost = fdOf('vhostfd');
          const handed = `${fdOf('fd')}:${tap}${vhost === undefined ? '' : `:${vhost}`}`;
          const through = ['nsenter', `--net=/proc/${holder}/ns/net`, '--', program, 'run', handed, '--'];
          running.push(await bareRun(command, { through }));
        }
        const guests = await Promise.all(
          commands.map(({ command }) => inBare(/path=([^,]*agent\.sock)/.exec(command.join('\n'))?.[1] ?? '')),
        );
        for (const [nth, guest] of guests.entries())
          await guest(
            `for i in $(seq 100); do killall udhcpc 2>/dev/null && break; sleep 0.1; done; ip link set eth0 up; ip address flush dev eth0; ip address add 10.9.9.${nth + 1}/24 dev eth0`,
          );
        const [first, last] = guests as [Guest, Guest];
        await measure(first, last, '10.9.9.2', bare);
      } finally {
        for (const { end } of running) await end();
      }
    });
    return [
      { name: 'iperf3 from machine to machine, median', value: median(ours.mbits), unit: 'Mbit/s', target: null },
      { name: 'the same between two bare QEMUs on a bare bridge', value: median(bare.mbits), unit: 'Mbit/s', target: null },
      { name: 'bare / ours, medians', value: median(bare.mbits) / median(ours.mbits), unit: 'x', target: 1.05 },
      { name: `ping from machine to machine, mean of ${pings}, median`, value: median(ours.pingMs), unit: 'ms', target: null },
      { name: 'the same between two bare QEMUs', value: median(bare.pingMs), unit: 'ms', target: null },
      { name: 'ping, ours / bare', value: median(ours.pingMs) / median(bare.pingMs), unit: 'x', target: 1.05 },
    ];
  });

async function measure(from: Guest, to: Guest, target: string, passed: Passed): Promise<void> {
  const iperf = 'LD_LIBRARY_PATH=/root/iperf /root/iperf/ld-linux-x86-64.so.2 /root/iperf/iperf3';
  await to(`${iperf} -s -D >/dev/null`);
  await from(`for i in $(seq 100); do ping -c1 -W1 ${target} >/dev/null && exit 0; sleep 0.1; done; exit 1`);
  for (let round = 0; round < rounds; round++) {
    const told = JSON.parse(await from(`${iperf} -c ${target} -t ${seconds} -J`)) as { end: { sum_received: { bits_per_second: number } } };
    passed.mbits.push(told.end.sum_received.bits_per_second / 1e6);
    const text = await from(`ping -c ${pings} -i 0.01 ${target} | tail -1`);
    passed.pingMs.push(Number(/= [\d.]+\/([\d.]+)\//.exec(text)?.[1]));
  }
  await to('kill $(pidof ld-linux-x86-64.so.2)');
}

const inMachine =
  (vm: Machine): Guest =>
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
