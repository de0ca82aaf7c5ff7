// CPU and disk shares: what VMs get, from the run time of their vCPU threads and the bytes of their disks, beside what they were promised.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, Vm } from '../src/sdk/index.ts';
import { type Figure, median } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';

const windowMs = 10_000;
/** Both VMs of a comparison run here. */
const onCpu = 1;

/** CPU time of the vCPUs of a VM, in ms. */
function vcpuMs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    if (!/^CPU \d/.test(readFileSync(`${folder}/comm`, 'utf8'))) continue;
    sum += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  }
  return sum;
}

async function used(client: Client, names: readonly string[], ms = windowMs): Promise<number[]> {
  const pids = await Promise.all(names.map(async (vm) => (await client.vm.show({ vm })).pid ?? 0));
  const [before, from] = [pids.map(vcpuMs), performance.now()];
  await delay(ms);
  const elapsed = performance.now() - from;
  return pids.map((pid, nth) => (vcpuMs(pid) - (before[nth] ?? 0)) / elapsed);
}

const busy = (vm: Vm, loops = 1) => vm.exec(['sh', '-c', `for i in $(seq ${loops}); do (while :; do :; done) & done >/dev/null 2>&1`]);
const off = (value: number, promised: number) => Math.abs(value / promised - 1) * 100;

async function shares(client: Client): Promise<Figure[]> {
  const pins = { vcpuPins: [String(onCpu)] };
  const heavy = await client.run('tiny', { name: 'heavy', cpuWeight: 300, ...pins });
  const light = await client.run('tiny', { name: 'light', cpuWeight: 100, ...pins });
  for (const vm of [heavy, light]) await busy(vm);
  const [one = 0, other = 1] = await used(client, ['heavy', 'light']);
  await light.remove({ force: true });
  await client.vm.set({ vm: 'heavy', cpuLimit: 0.25, vcpuPins: [] });
  await delay(1000);
  const [limited = 0] = await used(client, ['heavy']);
  await heavy.remove({ force: true });
  return [
    { name: 'weights 3:1 on one CPU, off by', value: off(one / other, 3), unit: '%', target: 5, note: `${(one / other).toFixed(2)}:1` },
    { name: 'a limit of 25% over 10 s, off by', value: off(limited, 0.25), unit: '%', target: 3, note: `${(limited * 100).toFixed(1)}%` },
  ];
}

async function burst(client: Client): Promise<Figure[]> {
  const burstMs = 3000;
  const vm = await client.run('tiny', { name: 'burst', cpuLimit: 0.25, cpuBurstMs: 0 });
  await vm.wait();
  await client.vm.set({ vm: 'burst', cpuBurstMs: burstMs });
  const pid = (await client.vm.show({ vm: 'burst' })).pid ?? 0;
  const [before, from] = [vcpuMs(pid), performance.now()];
  await busy(vm);
  for (;;) {
    const { resourceUse } = await client.vm.show({ vm: 'burst' });
    if (resourceUse?.cpuLimitNow !== null) break;
    await delay(20);
  }
  const spent = vcpuMs(pid) - before - 0.25 * (performance.now() - from);
  await vm.exec(['sh', '-c', 'killall sh; true']);
  await vm.pause();
  const empty = (await client.vm.show({ vm: 'burst' })).resourceUse?.cpuCreditMs ?? 0;
  await delay(4000);
  const regained = ((await client.vm.show({ vm: 'burst' })).resourceUse?.cpuCreditMs ?? 0) - empty;
  await vm.remove({ force: true });
  return [
    { name: 'a burst of 3 s is spent, off by', value: off(spent, burstMs), unit: '%', target: 5, note: `${Math.round(spent)} ms` },
    {
      name: 'and regained at the limit over 4 s, off by',
      value: off(regained, 1000),
      unit: '%',
      target: 30,
      note: `${Math.round(regained)} ms, settled each second`,
    },
  ];
}

export async function disk(client: Client): Promise<Figure[]> {
  const MiB = 2 ** 20;
  const vm = await client.run('tiny', { name: 'disk', diskLimits: ['root:bandwidth-write=4MiB'] });
  // What is written is there before the time begins: an emulated guest makes less in a second than the limit lets pass.
  await vm.exec(['sh', '-c', 'head -c 10485760 /dev/zero | tr "\\0" x > /tmp/part && sync']);
  const from = performance.now();
  const { exitCode } = await vm.exec(['sh', '-c', 'cat /tmp/part /tmp/part /tmp/part /tmp/part /tmp/part > /root/big && sync']);
  if (exitCode !== 0) throw new Error('the guest could not write');
  const rate = (50 * MiB) / ((performance.now() - from) / 1000);
  await vm.remove({ force: true });
  return [
    {
      name: 'buffered writes under a limit of 4 MiB/s, off by',
      value: off(rate, 4 * MiB),
      unit: '%',
      target: 5,
      note: `${(rate / MiB).toFixed(2)} MiB/s`,
    },
  ];
}

async function neighbours(client: Client): Promise<Figure[]> {
  const quiet = await client.run('tiny', { name: 'quiet' });
  await quiet.wait();
  const latency = async () => {
    const times: number[] = [];
    for (let round = 0; round < 25; round++) {
      const from = performance.now();
      await quiet.exec(['true']);
      if (round >= 5) times.push(performance.now() - from);
    }
    return median(times);
  };
  const idle = await latency();
  const hog = await client.run('tiny', { name: 'hog', cpus: 4 });
  await busy(hog, 4);
  const beside = await latency();
  await busy(quiet);
  const [shared = 0] = await used(client, ['quiet']);
  await hog.remove({ force: true });
  const [alone = 1] = await used(client, ['quiet']);
  await quiet.remove({ force: true });
  return [
    {
      name: 'exec into an idle VM beside 4 busy vCPUs, of its idle latency',
      value: beside / idle,
      unit: 'x',
      target: 2,
      note: `${beside.toFixed(1)} ms, ${idle.toFixed(1)} ms idle`,
    },
    {
      name: 'a busy VM loses beside a VM with 4 busy vCPUs',
      value: Math.max(0, (1 - shared / alone) * 100),
      unit: '%',
      target: 10,
      note: `${shared.toFixed(2)} CPUs of ${alone.toFixed(2)}`,
    },
  ];
}

export const resource = () =>
  withStateDirectory<Figure[]>(async ({ client }) => [
    ...(await shares(client)),
    ...(await burst(client)),
    ...(await disk(client)),
    ...(await neighbours(client)),
  ]);
