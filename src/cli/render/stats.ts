// What a VM or the host has used over time: the table of `viv stats`.
import { hostSeries, type Unit, vmSeries } from '../../contract/series.ts';
import type { History } from '../../contract/stats.ts';
import { measured } from './measured.ts';
import { formatTime } from './quantity.ts';
import { type Column, renderTable } from './table.ts';

type Heading = readonly [series: string, title: string];

const vmColumns: readonly Heading[] = [
  ['cpuPercent', 'CPU'],
  ['stealCores', 'STEAL'],
  ['proportionalBytes', 'MEMORY'],
  ['guestUsedBytes', 'GUEST USED'],
  ['guestCacheBytes', 'GUEST CACHE'],
  ['diskReadBytesPerSecond', 'DISK READ'],
  ['diskWriteBytesPerSecond', 'WRITE'],
  ['diskLatencyMs', 'LATENCY'],
  ['networkReceiveBytesPerSecond', 'NET IN'],
  ['networkSendBytesPerSecond', 'OUT'],
];
const hostColumns: readonly Heading[] = [
  ['cpuPercent', 'CPU'],
  ['stealCores', 'STEAL'],
  ['load', 'LOAD'],
  ['memoryUsedBytes', 'MEMORY USED'],
  ['memoryCacheBytes', 'CACHE'],
  ['memoryAvailableBytes', 'AVAILABLE'],
  ['cpuPressurePercent', 'CPU WAIT'],
  ['memoryPressurePercent', 'MEM WAIT'],
  ['ioPressurePercent', 'DISK WAIT'],
  ['runningVms', 'VMS'],
];

/** A line a point; points of which nothing is known (it did not run) are left out. `max`: the largest of each interval instead of the mean. */
export function historyTable(history: History, max: boolean, width: number | undefined): string[] {
  const units: Readonly<Record<string, { unit: Unit }>> = history.vm === null ? hostSeries : vmSeries;
  const values = max ? history.max : history.mean;
  const known = history.at.flatMap((at, index) =>
    Object.values(values).some((list) => (list[index] ?? null) !== null) ? [{ at, index }] : [],
  );
  const columns = (history.vm === null ? hostColumns : vmColumns).map(
    ([series, title]): Column<{ at: number; index: number }> => ({
      title,
      value: ({ index }) => measured(values[series]?.[index], units[series]?.unit ?? 'count'),
      right: true,
    }),
  );
  return renderTable(known, [{ title: 'TIME', value: ({ at }) => formatTime(at), whole: true }, ...columns], width);
}
