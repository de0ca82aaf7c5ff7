// Which automatic snapshots are due, and which may be removed. Pure: scheduler.ts acts.
//
// Time is divided into intervals of each rule's length, counted by the clock: :00, :10, :20 for 10 minutes, midnight for a day. A
// rule is due when its present interval has no automatic snapshot, so that one snapshot makes up for all that were missed. It keeps the
// newest snapshot of each of its newest `keep` intervals; a snapshot that no rule keeps is removed. (As in Restic and Proxmox.)
import { intervalName, type SnapshotPolicy, type SnapshotRule } from '../../contract/snapshot-policy.ts';

/** What is to be known of a snapshot. */
export interface SnapshotFacts {
  readonly id: string;
  readonly createdAt: number;
  /** The rule that took it; null: it was taken on request. */
  readonly auto: string | null;
  readonly template: boolean;
}

const minute = 60_000;
const day = 1440 * minute;
/** 1970-01-01 was a Thursday; weeks begin on Monday. */
const mondayMs = 3 * day;

/** How many snapshots taken before risky operations are kept. */
export const keptBeforeRisky = 5;

/** The rule of a snapshot that is taken before `what` ("reset"). */
export const beforeRule = (what: string): string => `before ${what}`;
const isBefore = ({ auto }: SnapshotFacts): boolean => auto?.startsWith('before ') ?? false;
const isTimed = (snapshot: SnapshotFacts): boolean => snapshot.auto !== null && !isBefore(snapshot);

const localOffsetMs = (at: number): number => -new Date(at).getTimezoneOffset() * minute;

/** Which interval a time is in. Days and longer ones begin at the host's midnight. */
export function intervalOf(at: number, everyMs: number, offsetMs = localOffsetMs): number {
  return everyMs < day ? Math.floor(at / everyMs) : Math.floor((at + offsetMs(at) + mondayMs) / everyMs);
}

/** The rule that is due now, the one of the longest interval where several are: one snapshot serves them all. Null: none is. */
export function dueRule(policy: SnapshotPolicy, snapshots: readonly SnapshotFacts[], now: number): SnapshotRule | null {
  const timed = snapshots.filter(isTimed);
  const isDue = ({ everyMs }: SnapshotRule): boolean => {
    const present = intervalOf(now, everyMs);
    return !timed.some(({ createdAt }) => intervalOf(createdAt, everyMs) === present);
  };
  return policy.rules.findLast(isDue) ?? null;
}

/** Ms until dueRule may answer otherwise: until the next interval of any rule; null: there are no rules. */
export function untilNextMs(policy: SnapshotPolicy, now: number): number | null {
  const waits = policy.rules.map(({ everyMs }) => {
    const phase = everyMs < day ? now : now + localOffsetMs(now) + mondayMs;
    return everyMs - (phase % everyMs);
  });
  return waits.length === 0 ? null : Math.min(...waits);
}

/** Ids of the snapshots that no rule keeps, oldest first. What was made by hand and templates are never among them. */
export function unkeptSnapshots(policy: SnapshotPolicy, snapshots: readonly SnapshotFacts[]): string[] {
  const newestFirst = snapshots
    .filter(({ auto, template }) => auto !== null && !template)
    .sort((one, other) => other.createdAt - one.createdAt);
  const kept = new Set(newestFirst.filter(isBefore).slice(0, keptBeforeRisky));
  const timed = newestFirst.filter(isTimed);
  for (const { everyMs, keep } of policy.rules) {
    const intervals = new Set<number>();
    for (const snapshot of timed) {
      const interval = intervalOf(snapshot.createdAt, everyMs);
      if (intervals.has(interval)) continue;
      if (intervals.size === keep) break;
      intervals.add(interval);
      kept.add(snapshot);
    }
  }
  // Without a rule, those left by an earlier policy are kept: their user decides about them.
  if (policy.rules.length === 0) for (const snapshot of timed) kept.add(snapshot);
  if (!policy.beforeRisky) for (const snapshot of newestFirst.filter(isBefore)) kept.add(snapshot);
  return newestFirst
    .filter((snapshot) => !kept.has(snapshot))
    .map(({ id }) => id)
    .reverse();
}

/** `auto-2026-11-21-0910`, `before-reset-2026-11-21-0910`: local time, as the user's clock shows it. */
export function labelOf(rule: string, now: number): string {
  const local = new Date(now + localOffsetMs(now)).toISOString();
  const stamp = `${local.slice(0, 10)}-${local.slice(11, 16).replace(':', '')}`;
  return `${rule.startsWith('before ') ? rule.replaceAll(' ', '-') : 'auto'}-${stamp}`;
}

/** The name of a timed rule, recorded with its snapshots. */
export const ruleName = ({ everyMs }: SnapshotRule): string => intervalName(everyMs);
