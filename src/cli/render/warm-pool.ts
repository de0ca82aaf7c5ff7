// Pools for reading: the table of `viv pool ls` and the sheet of `viv pool show`.
import type { Pool } from '../../contract/warm-pool.ts';
import { formatBytes, formatTime } from '../quantity.ts';
import { renderSheet, renderTable } from '../table.ts';

export function poolTable(pools: readonly Pool[], width: number | undefined): string[] {
  return renderTable(
    pools,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'FROM', value: ({ vm, point }) => `${vm}@${point}` },
      { title: 'READY', value: ({ ready, size }) => `${ready} of ${size}`, right: true },
      { title: 'MEMORY', value: ({ memoryBytes }) => formatBytes(memoryBytes), right: true },
      { title: 'PROBLEM', value: ({ problem }) => problem ?? '' },
    ],
    width,
  );
}

export const poolSheet = ({ name, vm, point, size, ready, memoryBytes, problem, createdAt }: Pool): string[] =>
  renderSheet([
    ['pool', name],
    ['from', `${vm}@${point}`],
    ['ready', `${ready} of ${size}`],
    ['memory', `${formatBytes(memoryBytes)} of the host’s`],
    ['problem', problem],
    ['made', formatTime(createdAt)],
  ]);
