// (e) What the daemon itself takes: from nothing to its first answer, and its memory and CPU time with 50 paused VMs.
import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from './measure.ts';
import { usage, withStateDirectory } from './state-directory.ts';

const vms = 50;
const idleMs = 20_000;

export const daemon = () =>
  withStateDirectory<Figure[]>(async ({ client, pid, startMs }) => {
    const empty = usage(pid).residentMiB;
    for (let index = 0; index < vms; index++) {
      const vm = await client.run('tiny', { name: `idle${index}`, memoryBytes: 96 * 2 ** 20 });
      await vm.pause();
    }
    await pause(5000); // what followed the last change has settled
    const before = usage(pid);
    await pause(idleMs);
    const after = usage(pid);
    return [
      { name: 'daemon: from the call until it answers', value: startMs, unit: 'ms', target: null },
      { name: 'resident memory without VMs', value: empty, unit: 'MiB', target: null },
      { name: `resident memory with ${vms} running, paused VMs`, value: after.residentMiB, unit: 'MiB', target: 120 },
      { name: 'CPU of one core over 20 s', value: ((after.cpuMs - before.cpuMs) / idleMs) * 100, unit: '%', target: 1 },
    ];
  });
