// The door of this room: the model in, nftables scripts out. Who calls it runs them with `nft -f -` in the networks' namespace.
import { bridgeTable } from './bridge.ts';
import { factsOf } from './facts.ts';
import { inetTable } from './inet.ts';
import type { FirewallModel } from './model.ts';
import { tableName } from './names.ts';
import { changing, digest, type Ruleset, replacing } from './ruleset.ts';

export interface FirewallPlan {
  readonly kind: 'nothing' | 'change' | 'replace';
  /** For `nft -f -`, one transaction; '' when there is nothing to do. */
  readonly script: string;
}

/** Everything anew. Counts and addresses learned from DNS begin from nothing; connections go on. */
export function rulesFor(model: FirewallModel): string {
  return replacing(signed(rulesetOf(model)));
}

/**
 * The least that turns what is there into what is wanted.
 * @param applied the model of the last script that the kernel took; null when that is not known
 * @param present what readDigest found in the kernel; null when it has no tables of ours
 */
export function planFor(wanted: FirewallModel, applied: FirewallModel | null, present: string | null): FirewallPlan {
  const after = rulesetOf(wanted);
  if (digest(after) === present) return { kind: 'nothing', script: '' };
  if (applied !== null && present !== null) {
    const before = rulesetOf(applied);
    const script = digest(before) === present ? changing(signed(before), signed(after)) : null;
    if (script !== null) return { kind: 'change', script };
  }
  return { kind: 'replace', script: replacing(signed(after)) };
}

/** The program's arguments whose output readDigest reads; it fails where there are no tables of ours. */
export const digestArguments: readonly string[] = ['list', 'chain', 'inet', tableName, 'applied'];

export function readDigest(output: string): string | null {
  return /comment "([0-9a-f]{32})"/.exec(output)?.[1] ?? null;
}

function rulesetOf(model: FirewallModel): Ruleset {
  const facts = factsOf(model);
  return [bridgeTable(facts), inetTable(facts)];
}

/** A chain that no packet meets, whose one rule says what all the others are. */
function signed(ruleset: Ruleset): Ruleset {
  const mark = digest(ruleset);
  for (const table of ruleset) if (table.family === 'inet') table.chain('applied', null, [`counter comment "${mark}"`]);
  return ruleset;
}
