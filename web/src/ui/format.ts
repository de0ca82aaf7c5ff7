// How numbers and times are written, in the language of the console.
import { text } from '../language/index.ts';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

const number = (value: number, digits: number) => new Intl.NumberFormat(text.code, { maximumFractionDigits: digits }).format(value);

/** In binary units: 1536 -> 1.5 KiB. */
export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${number(rest, rest < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

export const decimal = (value: number, digits = 2): string => number(value, digits);
export const percent = (value: number): string => `${number(value, value < 10 ? 1 : 0)} %`;

export function duration(ms: number): string {
  if (ms < 1000) return `${number(ms, ms < 10 ? 1 : 0)} ms`;
  if (ms < 60_000) return `${number(ms / 1000, 1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.round((ms % 3_600_000) / 60_000)} min`;
  return `${Math.floor(ms / 86_400_000)} d ${Math.round((ms % 86_400_000) / 3_600_000)} h`;
}

export const moment = (at: number): string => new Intl.DateTimeFormat(text.code, { dateStyle: 'medium', timeStyle: 'medium' }).format(at);

const steps: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/** `3 minutes ago`; a date after a week. */
export function ago(at: number, now = Date.now()): string {
  const past = now - at;
  if (Math.abs(past) > 7 * 86_400_000) return new Intl.DateTimeFormat(text.code, { dateStyle: 'medium' }).format(at);
  const format = new Intl.RelativeTimeFormat(text.code, { numeric: 'auto' });
  for (const [unit, ms] of steps) if (Math.abs(past) >= ms) return format.format(-Math.round(past / ms), unit);
  return format.format(-Math.round(past / 1000), 'second');
}

/** `2 GiB`, `512 MiB` or a plain number of bytes; null: it cannot be read. */
export function parseBytes(written: string): number | null {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(written);
  if (!match) return null;
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf((match[2] ?? '').toLowerCase());
  return Math.round(Number((match[1] ?? '').replace(',', '.')) * 1024 ** power);
}

/** `30s`, `5 min`, `2h`, `1d` or a plain number of milliseconds; null: it cannot be read. */
export function parseDuration(written: string): number | null {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*(ms|s|min|m|h|d)?\s*$/i.exec(written);
  if (!match) return null;
  const scale: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
  return Math.round(Number((match[1] ?? '').replace(',', '.')) * (scale[(match[2] ?? 'ms').toLowerCase()] ?? 1));
}
