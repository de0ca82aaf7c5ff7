// What the monitor saw last, as the API shows it.
import { availableParallelism, totalmem } from 'node:os';
import type { Top } from '../../contract/top.ts';
import type { Services } from '../services.ts';

export function topOf({ monitor }: Services): Top {
  const { at, host, vms } = monitor.latest;
  return {
    at,
    host: {
      cpus: host.counters?.cpus ?? availableParallelism(),
      memoryBytes: host.counters?.memory?.totalBytes ?? totalmem(),
      values: host.values,
      recentCpuPercent: host.recent.list(),
    },
    vms: vms.map(({ vm, values, recent }) => ({
      ...{ id: vm.id, name: vm.name, state: vm.state, cpus: vm.cpus, memoryBytes: vm.memoryBytes },
      ...{ values, recentCpuPercent: recent?.list() ?? [] },
    })),
  };
}
