// `viv explain`: sentences, the last observation, and the governor's decisions.
import type { Explanation } from '../../contract/explain.ts';
import { formatBytes, formatDuration } from './quantity.ts';
import { eventLine } from './task.ts';
import { clean } from './text.ts';

export function explanationLines({ name, holds, observed, decisions }: Explanation): string[] {
  return [
    ...holds.map((line) => clean(`${name}: ${line}`)),
    ...(observed === null ? [] : [`${clean(name)}: ${observedText(observed)}`]),
    ...(decisions.length === 0 ? [`${clean(name)}: the governor has decided nothing about it`] : decisions.map(eventLine)),
  ];
}

const observedText = ({
  cpuUsed,
  cpuThrottled,
  memoryBytes,
  guestAvailableBytes,
  guestMemoryPressure,
  idleMs,
}: NonNullable<Explanation['observed']>): string =>
  [
    `uses ${Math.round(cpuUsed * 100) / 100} CPUs`,
    ...(cpuThrottled > 0 ? [`stopped by its limit in ${Math.round(cpuThrottled * 100)}% of the periods`] : []),
    `has ${formatBytes(memoryBytes)} of memory`,
    guestAvailableBytes === null ? 'its guest reports none of it' : `${formatBytes(guestAvailableBytes)} available to its programs`,
    ...(guestMemoryPressure === null ? [] : [`its programs wait for memory in ${Math.round(guestMemoryPressure)}% of the time`]),
    ...(idleMs >= 60_000 ? [`idle for ${formatDuration(idleMs)}`] : []),
  ].join(', ');
