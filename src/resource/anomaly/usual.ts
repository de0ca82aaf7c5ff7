// What is usual for a VM, from its own history, and whether what it does now is not. Pure. Median and median deviation, because a mean follows the very
// peaks that are looked for.
import { type VmSeries, vmSeries } from '../../contract/series.ts';
import { durationText, valueText } from '../alert/text.ts';

/** Series that are compared, each with the least difference that is worth a word: an idle VM that does a little is not reported. */
export const compared = {
  cpuPercent: 25,
  stealCores: 0.5,
  proportionalBytes: 256 * 2 ** 20,
  guestUsedBytes: 256 * 2 ** 20,
  diskReadBytesPerSecond: 10 * 2 ** 20,
  diskWriteBytesPerSecond: 10 * 2 ** 20,
  diskLatencyMs: 50,
  networkReceiveBytesPerSecond: 5 * 2 ** 20,
  networkSendBytesPerSecond: 5 * 2 ** 20,
} as const satisfies { [N in VmSeries]?: number };
export type Compared = keyof typeof compared;

/** Fewer minutes of history say nothing. */
const leastMinutes = 60;
/** So many median deviations from the median are beyond chance. */
const deviations = 4;
/** The median deviation times this is the standard deviation of a normal distribution. */
const toStandard = 1.4826;
/** What happens for less than this share of the time is not usual: a nightly backup of half an hour is. */
const rare = 0.02;

export interface Usual {
  readonly minutes: number;
  readonly median: number;
  readonly spread: number;
  /** It is between these for all but the rarest minutes. */
  readonly low: number;
  readonly high: number;
}

/** @param minutes means of each minute that is known */
export function usualOf(minutes: readonly number[]): Usual | null {
  if (minutes.length < leastMinutes) return null;
  const sorted = minutes.toSorted((one, other) => one - other);
  const median = at(sorted, 0.5);
  const deviation = at(
    minutes.map((value) => Math.abs(value - median)).sort((one, other) => one - other),
    0.5,
  );
  return { minutes: minutes.length, median, spread: deviation * toStandard, low: at(sorted, rare), high: at(sorted, 1 - rare) };
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** Whether the mean of the last minutes is beyond what is usual, and to which side. */
export function compare(series: Compared, usual: Usual | null, recent: number | undefined): 'above' | 'below' | null {
  if (usual === null || recent === undefined) return null;
  const least = Math.max(compared[series], deviations * usual.spread);
  if (recent > usual.high && recent - usual.median >= least) return 'above';
  if (recent < usual.low && usual.median - recent >= least) return 'below';
  return null;
}

/** `cpuPercent of web is 96% over the last 5 min; over the 3 h before it was 4%, and between 1% and 12% nearly always` */
export function changeText(series: Compared, name: string, usual: Usual, recent: number, recentMs: number): string {
  const { unit } = vmSeries[series];
  const hours = Math.max(1, Math.round(usual.minutes / 60));
  const range = `between ${valueText(usual.low, unit)} and ${valueText(usual.high, unit)}`;
  return (
    `${series} of ${name} is ${valueText(recent, unit)} over the last ${durationText(recentMs)}; ` +
    `over the ${hours} h before it was ${valueText(usual.median, unit)}, and ${range} nearly always`
  );
}
