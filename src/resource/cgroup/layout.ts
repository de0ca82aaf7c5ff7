// The groups of one VM and what is written into them, for cgroup v1 and v2. Pure: `Cgroups` acts on it.
//
//   vivarium-TAG/VM            weight, memory accounting, pids limit, I/O weight
//   vivarium-TAG/VM/vcpu       its vCPU threads: limit, CPU set
//   vivarium-TAG/VM/emulator   QEMU's other threads: never limited, so that a throttled guest still answers QMP
import { join } from 'node:path';
import { formatCpuSet } from '../../contract/cpu-set.ts';
import { sharesOf } from '../cpu/entitlement.ts';
import type { Quota } from '../cpu/quota.ts';
import type { Controller, Hierarchies } from './hierarchy.ts';

export interface GroupLimits {
  /** v2 scale: 1 to 10000, default 100. */
  readonly cpuWeight: number;
  readonly quota: Quota;
  /** CPU numbers; null: those of the parent group. */
  readonly vcpuCpus: readonly number[] | null;
  readonly emulatorCpus: readonly number[] | null;
  readonly ioWeight: number;
  readonly pids: number;
}

export interface Write {
  readonly file: string;
  readonly value: string;
  /** The setting that is not enforced where this fails. */
  readonly setting: string;
}

export interface Layout {
  /** Folders that hold the VMs' groups: one per hierarchy. */
  readonly roots: readonly string[];
  /** The settings for which this host has no controller. */
  readonly missing: readonly string[];
  /** Made once, before any VM's group. */
  readonly topWrites: readonly Write[];
  folders(vm: string): string[];
  setup(vm: string): Write[];
  /** Files that a process id is written into. */
  processFiles(vm: string): string[];
  /** Files that the ids of vCPU threads are written into. */
  vcpuFiles(vm: string): string[];
  limits(vm: string, limits: GroupLimits): Write[];
  /** Where the throttling of the vCPUs is counted; null: nowhere. */
  cpuStat(vm: string): string | null;
}

const settingsOf: Record<Controller, readonly string[]> = {
  cpu: ['cpuWeight', 'cpuReservation', 'cpuLimit', 'cpuBurstMs'],
  cpuset: [],
  memory: ['memory accounting'],
  pids: ['pids limit'],
  io: ['ioWeight'],
};
const missingIn = (has: (controller: Controller) => boolean): string[] =>
  (Object.keys(settingsOf) as Controller[]).filter((name) => !has(name)).flatMap((name) => settingsOf[name]);

/** v2 where it has a CPU controller, else v1. Null: the host lets us create no groups. */
export function layoutFor({ v1, v2 }: Hierarchies, tag: string, hostCpus: number): Layout | null {
  if (v2?.controllers.includes('cpu')) return layoutV2(v2.folder, v2.controllers, tag, hostCpus);
  return v1.size === 0 ? null : layoutV1(v1, tag, hostCpus);
}

/** All VMs together weigh as much as this many processes of the host, as busy as it has CPUs. */
const topShares = (hostCpus: number) => Math.min(262_144, 1024 * hostCpus);

function layoutV1(folders: ReadonlyMap<Controller, string>, tag: string, hostCpus: number): Layout {
  const at = (controller: Controller) => {
    const folder = folders.get(controller);
    return folder === undefined ? null : join(folder, tag);
  };
  const [cpu, cpuset, memory, pids, io] = [at('cpu'), at('cpuset'), at('memory'), at('pids'), at('io')];
  const threaded = [cpu, cpuset].filter((top) => top !== null);
  const roots = [...threaded, memory, pids, io].filter((top) => top !== null);
  return {
    roots,
    missing: missingIn((name) => folders.has(name)),
    topWrites: cpu === null ? [] : [{ file: join(cpu, 'cpu.shares'), value: String(topShares(hostCpus)), setting: 'cpuWeight' }],
    folders: (vm) =>
      roots.flatMap((top) => [join(top, vm), ...(threaded.includes(top) ? [join(top, vm, 'vcpu'), join(top, vm, 'emulator')] : [])]),
    setup: () => [],
    processFiles: (vm) => roots.map((top) => join(top, vm, threaded.includes(top) ? 'emulator' : '', 'cgroup.procs')),
    vcpuFiles: (vm) => threaded.map((top) => join(top, vm, 'vcpu', 'tasks')),
    limits: (vm, { cpuWeight, quota, vcpuCpus, emulatorCpus, ioWeight, pids: most }) => {
      const writes: Write[] = [];
      if (cpu !== null) {
        const vcpu = (name: string, value: number): Write => ({
          file: join(cpu, vm, 'vcpu', name),
          value: String(value),
          setting: 'cpuLimit',
        });
        writes.push({ file: join(cpu, vm, 'cpu.shares'), value: String(sharesOf(cpuWeight)), setting: 'cpuWeight' });
        // A burst must never be above the quota, also not for a moment.
        writes.push(vcpu('cpu.cfs_burst_us', 0), vcpu('cpu.cfs_period_us', quota.periodUs), vcpu('cpu.cfs_quota_us', quota.quotaUs ?? -1));
        if (quota.burstUs > 0) writes.push({ ...vcpu('cpu.cfs_burst_us', quota.burstUs), setting: '' });
      }
      if (cpuset !== null) {
        const set = (part: string, cpus: readonly number[] | null, setting: string): Write[] =>
          cpus === null ? [] : [{ file: join(cpuset, vm, part, 'cpuset.cpus'), value: formatCpuSet(cpus), setting }];
        writes.push(...set('vcpu', vcpuCpus, 'vcpuPins'), ...set('emulator', emulatorCpus, 'emulatorPin'));
      }
      if (pids !== null) writes.push({ file: join(pids, vm, 'pids.max'), value: String(most), setting: 'pids limit' });
      // Which file there is depends on the I/O scheduler. 100 is the default of both.
      if (io !== null && ioWeight !== 100)
        writes.push({ file: join(io, vm, 'blkio.bfq.weight'), value: String(Math.min(1000, ioWeight)), setting: 'ioWeight' });
      return writes;
    },
    cpuStat: (vm) => (cpu === null ? null : join(cpu, vm, 'vcpu', 'cpu.stat')),
  };
}

function layoutV2(folder: string, has: readonly Controller[], tag: string, hostCpus: number): Layout {
  const top = join(folder, tag);
  const enable = (names: readonly Controller[]) => names.map((name) => `+${name}`).join(' ');
  const threaded = has.filter((name) => name === 'cpu' || name === 'cpuset');
  const share = (file: string, names: readonly Controller[]): Write => ({
    file: join(file, 'cgroup.subtree_control'),
    value: enable(names),
    setting: '',
  });
  return {
    roots: [top],
    missing: missingIn((name) => has.includes(name)),
    topWrites: [
      share(folder, has),
      share(top, has),
      { file: join(top, 'cpu.weight'), value: String(Math.min(10_000, 100 * hostCpus)), setting: 'cpuWeight' },
    ],
    folders: (vm) => [join(top, vm), join(top, vm, 'vcpu'), join(top, vm, 'emulator')],
    setup: (vm) => [
      ...['vcpu', 'emulator'].map((part) => ({ file: join(top, vm, part, 'cgroup.type'), value: 'threaded', setting: 'cpuLimit' })),
      share(join(top, vm), threaded),
    ],
    processFiles: (vm) => [join(top, vm, 'emulator', 'cgroup.procs')],
    vcpuFiles: (vm) => [join(top, vm, 'vcpu', 'cgroup.threads')],
    limits: (vm, { cpuWeight, quota, vcpuCpus, emulatorCpus, ioWeight, pids }) => {
      const write = (name: string, value: string, setting: string): Write => ({ file: join(top, vm, name), value, setting });
      const set = (part: string, cpus: readonly number[] | null, setting: string) =>
        cpus === null || !has.includes('cpuset') ? [] : [write(`${part}/cpuset.cpus`, formatCpuSet(cpus), setting)];
      return [
        write('cpu.weight', String(cpuWeight), 'cpuWeight'),
        write('vcpu/cpu.max.burst', '0', 'cpuLimit'),
        write('vcpu/cpu.max', `${quota.quotaUs ?? 'max'} ${quota.periodUs}`, 'cpuLimit'),
        ...(quota.burstUs > 0 ? [write('vcpu/cpu.max.burst', String(quota.burstUs), '')] : []),
        ...set('vcpu', vcpuCpus, 'vcpuPins'),
        ...set('emulator', emulatorCpus, 'emulatorPin'),
        ...(has.includes('pids') ? [write('pids.max', String(pids), 'pids limit')] : []),
        ...(has.includes('io') && ioWeight !== 100 ? [write('io.weight', `default ${ioWeight}`, 'ioWeight')] : []),
      ];
    },
    cpuStat: (vm) => join(top, vm, 'vcpu', 'cpu.stat'),
  };
}
