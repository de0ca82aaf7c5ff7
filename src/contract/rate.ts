// How much may pass in a second: `10Mbit` (bits, counted in thousands), `1MiB` (bytes, counted in 1,024s); with what may pass at once
// after a pause behind a slash: `10Mbit/256KiB`. `none`: no limit.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

export const Rate = z.object({
  bytesPerSecond: z.int().describe('Bytes per second'),
  burstBytes: z.int().nullable().describe('Bytes that may pass at once above the rate; null: chosen from the rate'),
});
export type Rate = z.infer<typeof Rate>;

const bits: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };
const bytes: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
export const leastBytesPerSecond = 1000;
/** 1 Tbit/s, beyond any interface. */
export const mostBytesPerSecond = 125_000_000_000;
export const mostBurstBytes = 2 ** 31;
/** A frame of 64 KiB with its headers, as guests hand them over whole, has to pass at once or never would. */
export const leastBurstBytes = 68 * 2 ** 10;

/** The rate that a text means; null: none. @throws invalid */
export function parseRate(text: string): Rate | null {
  if (text === 'none') return null;
  const [rate = '', burst, ...more] = text.split('/');
  const bytesPerSecond = perSecond(rate);
  const burstBytes = burst === undefined ? null : size(burst);
  if (bytesPerSecond === null || burstBytes === undefined || more.length > 0)
    throw new VivError(
      'invalid',
      `${JSON.stringify(text)} is not a rate; write it like 10Mbit, 1MiB (a second), 10Mbit/256KiB (rate/burst) or none`,
    );
  if (bytesPerSecond < leastBytesPerSecond || bytesPerSecond > mostBytesPerSecond)
    throw new VivError('invalid', `${JSON.stringify(text)} is out of range: a rate is from 8kbit to 1000Gbit`);
  if (burstBytes !== null && (burstBytes < leastBurstBytes || burstBytes > mostBurstBytes))
    throw new VivError('invalid', `${JSON.stringify(text)}: a burst is from 68KiB to 2GiB`);
  return { bytesPerSecond, burstBytes };
}

function perSecond(text: string): number | null {
  const [, inBits, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)bit$/i.exec(text) ?? [];
  if (inBits !== undefined) return Math.round((Number(inBits) * (bits[unit.toLowerCase()] ?? Number.NaN)) / 8);
  return size(text) ?? null;
}

function size(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i.exec(text) ?? [];
  return count === undefined ? undefined : Math.round(Number(count) * (bytes[unit.toLowerCase()] ?? Number.NaN));
}

export const RateText = z.string().max(40).superRefine(readableBy(parseRate));
