// What an alert says: one sentence with the figures.
import type { MetricRule } from '../../contract/alert-rule.ts';
import { hostSeries, type Unit, vmSeries } from '../../contract/series.ts';

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `87%`, `1.5 GiB`, `12 ms`: three digits, as a person reads it. */
export function valueText(value: number, unit: Unit): string {
  const short = (number: number) => String(Number(number.toPrecision(3)));
  switch (unit) {
    case 'percent':
      return `${short(value)}%`;
    case 'cores':
      return `${short(value)} CPUs`;
    case 'ms':
      return `${short(value)} ms`;
    case 'perSecond':
      return `${short(value)}/s`;
    case 'count':
      return short(value);
    case 'bytes':
    case 'bytesPerSecond': {
      const power = value < 1 ? 0 : Math.min(sizes.length - 1, Math.floor(Math.log2(value) / 10));
      return `${short(value / 2 ** (10 * power))} ${sizes[power]}${unit === 'bytes' ? '' : '/s'}`;
    }
  }
}

export const unitOf = (rule: Pick<MetricRule, 'of' | 'series'>): Unit =>
  rule.of === 'host' ? hostSeries[rule.series as keyof typeof hostSeries].unit : vmSeries[rule.series as keyof typeof vmSeries].unit;

/** `30 s`, `5 min`, `2 h` */
export function durationText(ms: number): string {
  const [size, name] = (
    [
      [3_600_000, 'h'],
      [60_000, 'min'],
      [1000, 's'],
    ] as const
  ).find(([unit]) => ms >= unit && ms % unit === 0) ?? [1000, 's'];
  return `${Number((ms / size).toPrecision(3))} ${name}`;
}

/** `cpuPercent of web is 97%, above 90% for 5 min` */
export function firingText(rule: MetricRule, subject: string, value: number): string {
  const unit = unitOf(rule);
  const bound = `${rule.operator === '>' ? 'above' : 'below'} ${valueText(rule.threshold, unit)}`;
  return `${rule.series} of ${subject} is ${valueText(value, unit)}, ${bound}${rule.forMs > 0 ? ` for ${durationText(rule.forMs)}` : ''}`;
}

export function resolvedText(rule: MetricRule, subject: string, value: number | undefined): string {
  if (value === undefined) return `${rule.series} of ${subject} is not measured: it does not run, or has no such figure`;
  return `${rule.series} of ${subject} is back at ${valueText(value, unitOf(rule))}`;
}
