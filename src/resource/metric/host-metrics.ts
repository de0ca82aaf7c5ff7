// The metrics of the host and of the daemon.
import type { HostCounters } from '../measure/host-meter.ts';
import type { Exposition, Family } from './exposition.ts';

const gauge = (name: string, help: string): Family => ({ name: `vivarium_host_${name}`, type: 'gauge', help });
const counter = (name: string, help: string): Family => ({ name: `vivarium_host_${name}_total`, type: 'counter', help });

const families = {
  cpus: gauge('cpus', 'CPUs of the host'),
  cpu: counter('cpu_seconds', 'CPU time of everything on the host'),
  load: gauge('load1', 'Load average over one minute'),
  memory: gauge('memory_total_bytes', 'Memory of the host'),
  available: gauge('memory_available_bytes', 'Memory that programs can still be given without swapping'),
  cache: gauge('memory_cache_bytes', 'Page cache of the host'),
  swapTotal: gauge('swap_total_bytes', 'Swap space of the host'),
  swapFree: gauge('swap_free_bytes', 'Free swap space of the host'),
  waiting: counter('pressure_waiting_seconds', 'Time for which some task waited for a resource'),
  stalled: counter('pressure_stalled_seconds', 'Time for which every task waited for a resource'),
  storageTotal: gauge('storage_total_bytes', 'Size of the file system that holds the state directory'),
  storageFree: gauge('storage_free_bytes', 'Free space of the file system that holds the state directory'),
  vms: gauge('vms_running', 'VMs that run'),
} as const satisfies Record<string, Family>;

export function addHost(to: Exposition, counters: HostCounters | null): void {
  if (counters === null) return;
  const { cpu, memory, pressure, storage } = counters;
  const one = (family: Family, value: number | null | undefined) => to.family(family, (add) => add(value));
  one(families.cpus, counters.cpus);
  to.family(families.cpu, (add) => {
    add(cpu?.busySeconds, 'mode="busy"');
    add(cpu?.ioWaitSeconds, 'mode="iowait"');
    add(cpu?.stealSeconds, 'mode="steal"');
  });
  one(families.load, counters.load);
  one(families.memory, memory?.totalBytes);
  one(families.available, memory?.availableBytes);
  one(families.cache, memory?.cacheBytes);
  one(families.swapTotal, memory?.swapTotalBytes);
  one(families.swapFree, memory?.swapFreeBytes);
  to.family(families.waiting, (add) => {
    for (const resource of ['cpu', 'memory', 'io'] as const) add(pressure[resource]?.someSeconds, `resource="${resource}"`);
  });
  // Of the CPU the kernel says 0 for all tasks together: some task always runs.
  to.family(families.stalled, (add) => {
    for (const resource of ['memory', 'io'] as const) add(pressure[resource]?.fullSeconds, `resource="${resource}"`);
  });
  one(families.storageTotal, storage?.totalBytes);
  one(families.storageFree, storage?.freeBytes);
  one(families.vms, counters.runningVms);
}
