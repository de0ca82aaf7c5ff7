// Warm pools for reading: the table of `viv warm-pool ls` and the sheet of `viv warm-pool show`.
import type { WarmPool } from '../../contract/warm-pool.ts';
import { formatBytes, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

export function warmPoolTable(warmPools: readonly WarmPool[], width: number | undefined): string[] {
  return renderTable(
    warmPools,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'FROM', value: ({ vm, snapshot }) => `${vm}@${snapshot}` },
      { title: 'READY', value: ({ ready, size }) => `${ready} of ${size}`, right: true },
      { title: 'MEMORY', value: ({ memoryBytes }) => formatBytes(memoryBytes), right: true },
      { title: 'PROBLEM', value: ({ problem }) => problem ?? '' },
    ],
    width,
  );
}

export const warmPoolSheet = ({ name, vm, snapshot, size, ready, memoryBytes, problem, createdAt }: WarmPool): string[] =>
  renderSheet([
    ['warm pool', name],
    ['from', `${vm}@${snapshot}`],
    ['ready', `${ready} of ${size}`],
    ['memory', `${formatBytes(memoryBytes)} of the host’s`],
    ['problem', problem],
    ['created', formatTime(createdAt)],
  ]);
