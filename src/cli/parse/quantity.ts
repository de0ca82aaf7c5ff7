// Sizes and durations as people write them. Sizes are binary: 512MiB, 2GiB, 2G (= 2GiB), plain bytes.
// Durations: 500ms, 30s, 5m, 2h, 1d; a bare number is in seconds, as for timeout(1).
import { VivError } from '../../contract/errors.ts';
import { quote } from '../render/text.ts';

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 };
const timeUnits: Readonly<Record<string, number>> = { ms: 1, '': 1000, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes; throws `invalid` where the text is no size, or none that a number holds exactly. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = match === null ? Number.NaN : Math.round(Number(match[1]) * (sizeUnits[(match[2] ?? '').toLowerCase()] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new VivError('invalid', `${quote(text)} is not a size; write it like 512MiB, 2GiB or 10G`);
  return bytes;
}

/** Milliseconds; throws `invalid` where the text is no duration. */
export function parseDuration(text: string): number {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|)/gy)];
  const whole = parts.map((part) => part[0]).join('') === text.trim() && parts.length > 0;
  const bareInside = parts.length > 1 && parts.some((part) => part[2] === '');
  const ms = Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * (timeUnits[part[2] ?? ''] ?? Number.NaN), 0));
  if (!whole || bareInside || !Number.isSafeInteger(ms)) {
    throw new VivError('invalid', `${quote(text)} is not a duration; write it like 30s, 5m or 500ms`);
  }
  return ms;
}

/** A point in time, ms since 1970: a date with or without a time (local), or a duration before now. @throws invalid */
export function parseSince(text: string, now: number): number {
  if (/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?(Z|[+-]\d{2}:\d{2})?$/.test(text)) {
    // A date alone means midnight here, not in Greenwich.
    const at = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T'));
    if (!Number.isNaN(at)) return at;
  } else if (/^[\d.]+(ms|[smhd])/.test(text)) return now - parseDuration(text);
  throw new VivError('invalid', `${quote(text)} is not a time; write it like 2026-12-01, 2026-12-01T10:00, 2h or 7d`);
}
