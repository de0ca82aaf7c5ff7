// When snapshots of a VM are taken automatically, and how many are kept:
//   every 10 min keep 12, hourly keep 24, daily keep 7, before risky operations
// Each part stands for itself: `every N min|hours|days|weeks keep K`, `hourly|daily|weekly keep K`, `before risky operations`.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';

const minute = 60_000;
const unitMs = { minute, hour: 60 * minute, day: 1440 * minute, week: 10080 * minute } as const;
const longestMs = 366 * unitMs.day;
const mostRules = 8;
const mostKept = 1000;
const longestText = 300;

export const SnapshotRule = z.object({
  everyMs: z.int().min(minute).max(longestMs),
  /** How many are kept, one of each interval. */
  keep: z.int().min(1).max(mostKept),
});
export type SnapshotRule = z.infer<typeof SnapshotRule>;

export const SnapshotPolicy = z.object({
  /** Shortest interval first; no two of the same. */
  rules: z.array(SnapshotRule).max(mostRules),
  /** Before operations that cannot be undone: restore, reset, a stop or restart by force, changes of disks. */
  beforeRisky: z.boolean(),
});
export type SnapshotPolicy = z.infer<typeof SnapshotPolicy>;

const example = 'every 10 min keep 12, hourly keep 24, before risky operations';
const words: Readonly<Record<string, keyof typeof unitMs>> = {
  ...{ min: 'minute', mins: 'minute', minute: 'minute', minutes: 'minute' },
  ...{ h: 'hour', hour: 'hour', hours: 'hour', d: 'day', day: 'day', days: 'day', week: 'week', weeks: 'week' },
};
const adverbs = { hourly: 'hour', daily: 'day', weekly: 'week' } as const;

/** The policy that a text means; null: none (`none`). @throws invalid with a sentence that says what is wrong and how it is written */
export function parseSnapshotPolicy(text: string): SnapshotPolicy | null {
  if (text.length > longestText) throw wrong(`a policy has at most ${longestText} characters`);
  const parts = text
    .toLowerCase()
    .split(',')
    .map((part) => part.trim().replace(/\s+/g, ' '));
  if (parts.length === 1 && parts[0] === 'none') return null;
  const rules = new Map<number, SnapshotRule>();
  let beforeRisky = false;
  for (const part of parts) {
    if (/^before risky( operations?)?$/.test(part)) {
      beforeRisky = true;
      continue;
    }
    const rule = parseRule(part);
    if (rules.has(rule.everyMs)) throw wrong(`“${part}” has the interval of another part; leave one of them out`);
    rules.set(rule.everyMs, rule);
  }
  if (rules.size > mostRules) throw wrong(`a policy has at most ${mostRules} intervals`);
  return { rules: [...rules.values()].sort((one, other) => one.everyMs - other.everyMs), beforeRisky };
}

function parseRule(part: string): SnapshotRule {
  if (part === '') throw wrong('there is nothing between two commas, or nothing at all', `for example ${example}, or none`);
  if (part === 'none') throw wrong('“none” excludes all other rules');
  const [, times, kept] = /^(.*?)(?: keep (\S+))?$/.exec(part) ?? [];
  const everyMs = intervalOf(times ?? '', part);
  if (kept === undefined) throw wrong(`“${part}” does not say how many are kept`, `for example ${part} keep 12`);
  const keep = /^\d{1,6}$/.test(kept) ? Number(kept) : 0;
  if (keep < 1 || keep > mostKept) throw wrong(`“keep ${kept}” is not a number from 1 to ${mostKept}`);
  return { everyMs, keep };
}

function intervalOf(times: string, part: string): number {
  if (Object.hasOwn(adverbs, times)) return unitMs[adverbs[times as keyof typeof adverbs]];
  const [, count = '1', word = ''] = /^every (?:(\d{1,6}) ?)?([a-z]+)$/.exec(times) ?? [];
  const unit = Object.hasOwn(words, word) ? words[word] : undefined;
  if (unit === undefined) throw wrong(`“${part}” is not understood`, `for example ${example}`);
  const everyMs = Number(count) * unitMs[unit];
  if (everyMs < minute || everyMs > longestMs) throw wrong(`“${times}” is not between every minute and every 366 days`);
  return everyMs;
}

const wrong = (what: string, instead?: string): VivError => new VivError('invalid', `${what}${instead ? `; ${instead}` : ''}`);

/** The policy as it is written; parsed, it is the same again. */
export function formatSnapshotPolicy(policy: SnapshotPolicy | null): string {
  if (policy === null) return 'none';
  const parts = policy.rules.map((rule) => `${intervalName(rule.everyMs)} keep ${rule.keep}`);
  return [...parts, ...(policy.beforeRisky ? ['before risky operations'] : [])].join(', ');
}

/** `hourly`, `every 10 min`: what a rule's snapshots are said to be made by. */
export function intervalName(everyMs: number): string {
  const adverb = Object.entries(adverbs).find(([, unit]) => unitMs[unit] === everyMs)?.[0];
  if (adverb) return adverb;
  const [unit, ms] = Object.entries(unitMs).findLast(([, size]) => everyMs % size === 0) ?? ['minute', minute];
  const count = everyMs / ms;
  if (unit === 'minute') return `every ${count} min`;
  return `every ${count} ${unit}s`;
}

/** The field of `vm.create`, `vm.run` and `vm.set`. */
export const SnapshotPolicyText = z.string().superRefine(readableBy(parseSnapshotPolicy));
