// `top.show`: what the monitor saw last.
import { availableParallelism, totalmem } from 'node:os';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'top.show'> = async (_input, { services }) => {
  const { at, host, vms } = services.monitor.latest;
  return {
    at,
    host: {
      cpus: host.counters?.cpus ?? availableParallelism(),
      memoryBytes: host.counters?.memory?.totalBytes ?? totalmem(),
      values: host.values,
      recentCpuPercent: host.recent.list(),
    },
    vms: vms.map(({ vm, values, recent }) => ({
      id: vm.id,
      name: vm.name,
      state: vm.state,
      cpus: vm.cpus,
      memoryBytes: vm.memoryBytes,
      values,
      recentCpuPercent: recent?.list() ?? [],
    })),
  };
};
