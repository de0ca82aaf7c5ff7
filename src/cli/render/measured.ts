// Measured values for reading. What is not known is `-`, never 0.
import type { Unit } from '../../contract/series.ts';
import { formatBytes } from './quantity.ts';

const unknown = '-';

export function measured(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return unknown;
  switch (unit) {
    case 'percent':
      return `${value.toFixed(value < 10 ? 1 : 0)}%`;
    case 'cores':
      return value.toFixed(2);
    case 'bytes':
      return formatBytes(value);
    case 'bytesPerSecond':
      return `${formatBytes(Math.round(value))}/s`;
    case 'perSecond':
      return `${value.toFixed(value < 10 ? 1 : 0)}/s`;
    case 'ms':
      return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
    case 'count':
      return String(Number(value.toFixed(2)));
  }
}

const bars = '▁▂▃▄▅▆▇█';

/** One character a value, at most `width` of the latest; a blank where it is not known. @param most what a full bar means */
export function sparkline(values: readonly (number | null)[], most: number, width: number): string {
  const shown = values.slice(-width).map((value) => {
    if (value === null) return ' ';
    const level = most <= 0 ? 0 : Math.round((value / most) * (bars.length - 1));
    return bars[Math.max(0, Math.min(bars.length - 1, level))] ?? ' ';
  });
  return shown.join('').padStart(width);
}
