// From the model to nftables scripts, which callers run with `nft -f -` in the networks' namespace.
import { createHash } from 'node:crypto';
import { factsOf, placesText } from './facts.ts';
import type { FirewallModel } from './model.ts';
import { tableName } from './names.ts';
import { changing, type Ruleset, replacing } from './ruleset.ts';
import { specimen } from './specimen.ts';
import { bridgeTable } from './table/bridge.ts';
import { inetTable } from './table/inet.ts';

export interface FirewallPlan {
  readonly kind: 'nothing' | 'change' | 'replace';
  /** For `nft -f -`, one transaction; '' when there is nothing to do. */
  readonly script: string;
}

/** Replaces everything. Counters and addresses learned from DNS are lost; connections continue. */
export function rulesFor(model: FirewallModel): string {
  return replacing(rulesetOf(model));
}

/**
 * The smallest script that turns the actual rules into the desired ones.
 * @param applied the model that was applied last; null: not known. What is derived from an object is cached
 * @param actual digest in the kernel (readDigest); null: the tables do not exist
 */
export function planFor(desired: FirewallModel, applied: FirewallModel | null, actual: string | null): FirewallPlan {
  if (digestOf(desired) === actual) return { kind: 'nothing', script: '' };
  if (applied !== null && actual !== null && digestOf(applied) === actual) {
    const script = changing(rulesetOf(applied), rulesetOf(desired));
    if (script !== null) return { kind: 'change', script };
  }
  return { kind: 'replace', script: rulesFor(desired) };
}

/** Longest script for an ordinary user, whose nft cannot enlarge its socket's buffer (208 KiB) and may fail with "Message too long". */
export const maxScriptLengthAsUser = 40_000;

/**
 * rulesFor() in several transactions, each short enough for an ordinary user: ports are added a few at a time. Until then they pass nothing; no intermediate
 * state allows more than the final one.
 */
export function rulesInSteps(model: FirewallModel): string[] {
  const having = (count: number): FirewallModel =>
    count === model.ports.length ? model : { ...model, ports: model.ports.slice(0, count) };
  const steps = (from: FirewallModel, to: FirewallModel): string[] => {
    const script = changing(rulesetOf(from), rulesetOf(to)) ?? rulesFor(to);
    const [first, last] = [from.ports.length, to.ports.length];
    if (script.length <= maxScriptLengthAsUser || last - first < 2) return [script];
    const middle = having((first + last) >> 1);
    return [...steps(from, middle), ...steps(middle, to)];
  };
  const start = having(0);
  return [rulesFor(start), ...(start === model ? [] : steps(start, model))];
}

/** Arguments of two calls of nft whose outputs readDigest() reads. The second lists table names only: their contents take 100 ms with 1,000 ports. */
export const digestArguments: readonly (readonly string[])[] = [
  ['list', 'chain', 'inet', tableName, 'applied'],
  ['list', 'tables', 'bridge'],
];

/** Null: not both tables exist. Both are changed in one transaction, so one digest holds for both. */
export function readDigest([applied = '', tables = '']: readonly string[]): string | null {
  const digest = /comment "([0-9a-f]{32})"/.exec(applied)?.[1] ?? null;
  return tables.split('\n').includes(`table bridge ${tableName}`) ? digest : null;
}

const digests = new WeakMap<FirewallModel, string>();
const rulesets = new WeakMap<FirewallModel, Ruleset>();

/** Identifies the model and the rules that this version derives from it. */
export function digestOf(model: FirewallModel): string {
  const known = digests.get(model);
  if (known !== undefined) return known;
  const { networks, ports, ...rest } = model;
  const hash = createHash('sha256').update(rulesFingerprint()).update(placesText(model)).update(JSON.stringify(rest));
  const digest = hash.digest('hex').slice(0, 32);
  digests.set(model, digest);
  return digest;
}

/** The rules of a model that uses everything: they change with the code. */
function rulesFingerprint(): string {
  known ??= replacing(tablesOf(specimen));
  return known;
}
let known: string | undefined;

function rulesetOf(model: FirewallModel): Ruleset {
  const known = rulesets.get(model);
  if (known) return known;
  const ruleset = tablesOf(model);
  // a chain that no packet gets to, for the digest
  ruleset.find(({ family }) => family === 'inet')?.chain('applied', null, [`counter comment "${digestOf(model)}"`]);
  rulesets.set(model, ruleset);
  return ruleset;
}

function tablesOf(model: FirewallModel): Ruleset {
  const facts = factsOf(model);
  return [bridgeTable(facts), inetTable(facts)];
}
