// What a disk may do in a second: `root:iops=500`, `root:bandwidth=50MiB`; with a burst behind a slash, `root:iops=500/2000x10s` lets 2,000
// operations a second pass for 10 s after a pause. `root:none` removes all limits of a disk.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

/** Operations and bytes, of both directions or of one. */
const diskLimitKinds = ['iops', 'iops-read', 'iops-write', 'bandwidth', 'bandwidth-read', 'bandwidth-write'] as const;
export type DiskLimitKind = (typeof diskLimitKinds)[number];

export interface DiskLimit {
  readonly disk: string;
  readonly kind: DiskLimitKind;
  readonly perSecond: number;
  /** Peak rate while a burst lasts; null: no burst. */
  readonly burstPerSecond: number | null;
  /** How long the peak rate can be kept up after a pause. */
  readonly burstSeconds: number;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const mostPerSecond = 10 ** 12;
const longestBurstSeconds = 3600;

/** `limit` is null for `DISK:none`. @throws invalid with a sentence that says what is wrong and how it is written */
export function parseDiskLimit(text: string): { disk: string; limit: DiskLimit | null } {
  const [, disk, rest = ''] = /^([a-z][a-z0-9-]*):(.+)$/.exec(text.trim()) ?? [];
  if (disk === undefined) throw wrong(text, 'it names no disk');
  if (rest === 'none') return { disk, limit: null };
  const at = rest.indexOf('=');
  const kind = diskLimitKinds.find((known) => known === rest.slice(0, at));
  if (kind === undefined) throw wrong(text, `${JSON.stringify(rest)} is none of ${diskLimitKinds.join(', ')}`);
  const value = rest.slice(at + 1);
  const [rate = '', burst, ...more] = value.split('/');
  const [peak = '', seconds = '1s', ...surplus] = burst?.split('x') ?? [];
  const perSecond = amount(kind, rate);
  const burstPerSecond = burst === undefined ? null : amount(kind, peak);
  const [, counted] = /^(\d{1,4})s$/.exec(seconds) ?? [];
  const burstSeconds = Number(counted);
  if (Number.isNaN(perSecond) || Number.isNaN(burstPerSecond ?? 0) || counted === undefined || more.length + surplus.length > 0)
    throw wrong(text, `${JSON.stringify(value)} is not a rate`);
  if (perSecond < 1 || perSecond > mostPerSecond) throw wrong(text, `${kind} is from 1 to ${mostPerSecond}`);
  if (burstPerSecond !== null && burstPerSecond <= perSecond) throw wrong(text, `the burst of ${kind} is not above its limit`);
  if (burstSeconds < 1 || burstSeconds > longestBurstSeconds) throw wrong(text, `a burst lasts from 1s to ${longestBurstSeconds}s`);
  return { disk, limit: { disk, kind, perSecond, burstPerSecond, burstSeconds } };
}

function amount(kind: DiskLimitKind, text: string): number {
  const [, count, unit = ''] = (kind.startsWith('iops') ? /^(\d+)$/ : /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i).exec(text) ?? [];
  return count === undefined ? Number.NaN : Math.round(Number(count) * (units[unit.toLowerCase()] ?? Number.NaN));
}

const wrong = (text: string, why: string) =>
  new VivError(
    'invalid',
    `${JSON.stringify(text)} is not a disk limit: ${why}; write it like root:iops=500 or root:bandwidth=50MiB/200MiBx10s`,
  );

/** The limits that texts mean together: a later one replaces those of the same disk that say something about the same operations. */
export function mergeDiskLimits(texts: readonly string[]): string[] {
  let kept: { text: string; limit: DiskLimit }[] = [];
  for (const text of texts) {
    const { disk, limit } = parseDiskLimit(text);
    kept = kept.filter((other) => other.limit.disk !== disk || (limit !== null && !overlap(other.limit.kind, limit.kind)));
    if (limit !== null) kept.push({ text, limit });
  }
  return kept.map(({ text }) => text);
}

const overlap = (one: DiskLimitKind, other: DiskLimitKind): boolean => one.startsWith(other) || other.startsWith(one);

export const DiskLimitText = z.string().max(100).superRefine(readableBy(parseDiskLimit));
