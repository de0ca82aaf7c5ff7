// What a disk may do in a second: `root:iops=500,bandwidth=50MiB`, with bursts behind a slash: `root:iops=500/2000x10s` lets 2,000
// operations a second pass for 10 s after a pause. `root:none` lifts all limits of a disk.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

const Limit = z.object({
  perSecond: z.int(),
  /** Peak rate while a burst lasts; null: no burst. */
  burstPerSecond: z.int().nullable(),
  /** How long the peak rate can be kept up after a pause, in seconds. */
  burstSeconds: z.int(),
});
type Limit = z.infer<typeof Limit>;

/** The kinds of limits: operations and bytes, of both directions or of one. */
export const diskLimitKinds = ['iops', 'iops-read', 'iops-write', 'bandwidth', 'bandwidth-read', 'bandwidth-write'] as const;
export type DiskLimitKind = (typeof diskLimitKinds)[number];

export const DiskLimit = z.object({ disk: z.string(), limits: z.partialRecord(z.enum(diskLimitKinds), Limit) });
export type DiskLimit = z.infer<typeof DiskLimit>;

const units: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const mostPerSecond = 10 ** 12;
const longestBurstSeconds = 3600;
const example = 'root:iops=500,bandwidth=50MiB/200MiBx10s';

/** @throws invalid with a sentence that says what is wrong and how it is written */
export function parseDiskLimit(text: string): DiskLimit {
  const [, disk, rest = ''] = /^([a-z][a-z0-9-]*):(.+)$/.exec(text.trim()) ?? [];
  if (disk === undefined) throw wrong(text, 'names no disk');
  if (rest === 'none') return { disk, limits: {} };
  const limits: Partial<Record<DiskLimitKind, Limit>> = {};
  for (const part of rest.split(',')) {
    const at = part.indexOf('=');
    const kind = diskLimitKinds.find((known) => known === part.slice(0, at));
    if (kind === undefined) throw wrong(text, `${JSON.stringify(part)} is none of ${diskLimitKinds.join(', ')}`);
    limits[kind] = parseLimit(text, kind, part.slice(at + 1));
  }
  for (const kind of ['iops', 'bandwidth'] as const)
    if (limits[kind] && (limits[`${kind}-read`] || limits[`${kind}-write`]))
      throw wrong(text, `${kind} already covers ${kind}-read and ${kind}-write`);
  return { disk, limits };
}

function parseLimit(text: string, kind: DiskLimitKind, value: string): Limit {
  const [rate = '', burst, ...more] = value.split('/');
  const [peak = '', seconds = '1s', ...rest] = burst?.split('x') ?? [];
  const perSecond = amount(kind, rate);
  const burstPerSecond = burst === undefined ? null : amount(kind, peak);
  const [, counted] = /^(\d{1,4})s$/.exec(seconds) ?? [];
  const burstSeconds = Number(counted);
  if (Number.isNaN(perSecond) || Number.isNaN(burstPerSecond ?? 0) || counted === undefined || more.length + rest.length > 0)
    throw wrong(text, `${JSON.stringify(value)} is not a rate`);
  if (perSecond < 1 || perSecond > mostPerSecond) throw wrong(text, `${kind} is from 1 to ${mostPerSecond}`);
  if (burstPerSecond !== null && burstPerSecond <= perSecond) throw wrong(text, `the burst of ${kind} is not above its limit`);
  if (burstSeconds < 1 || burstSeconds > longestBurstSeconds) throw wrong(text, `a burst lasts from 1s to ${longestBurstSeconds}s`);
  return { perSecond, burstPerSecond, burstSeconds };
}

function amount(kind: DiskLimitKind, text: string): number {
  const [, count, unit = ''] = (kind.startsWith('iops') ? /^(\d+)$/ : /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?$/i).exec(text) ?? [];
  return count === undefined ? Number.NaN : Math.round(Number(count) * (units[unit.toLowerCase()] ?? Number.NaN));
}

const wrong = (text: string, why: string) =>
  new VivError('invalid', `${JSON.stringify(text)} is not a disk limit: ${why}; write it like ${example}`);

/** The limit as it is written; parsed, it is the same again. */
export function formatDiskLimit({ disk, limits }: DiskLimit): string {
  const parts = diskLimitKinds.flatMap((kind) => {
    const limit = limits[kind];
    if (limit === undefined) return [];
    const burst = limit.burstPerSecond === null ? '' : `/${limit.burstPerSecond}x${limit.burstSeconds}s`;
    return [`${kind}=${limit.perSecond}${burst}`];
  });
  return `${disk}:${parts.length === 0 ? 'none' : parts.join(',')}`;
}

export const DiskLimitText = z.string().max(300).superRefine(readableBy(parseDiskLimit));
