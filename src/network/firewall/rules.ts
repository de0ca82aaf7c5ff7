// The door of this room: the model in, nftables scripts out. Who calls it runs them with `nft -f -` in the networks' namespace.
import { createHash } from 'node:crypto';
import { bridgeTable } from './bridge.ts';
import { factsOf, placesText } from './facts.ts';
import { inetTable } from './inet.ts';
import type { FirewallModel } from './model.ts';
import { tableName } from './names.ts';
import { changing, type Ruleset, replacing } from './ruleset.ts';
import { specimen } from './specimen.ts';

export interface FirewallPlan {
  readonly kind: 'nothing' | 'change' | 'replace';
  /** For `nft -f -`, one transaction; '' when there is nothing to do. */
  readonly script: string;
}

/** Everything anew. Counts and addresses learned from DNS begin from nothing; connections go on. */
export function rulesFor(model: FirewallModel): string {
  return replacing(rulesetOf(model));
}

/**
 * The least that turns what is there into what is wanted.
 * @param applied the model of the last script that the kernel took; null when that is not known. Given the same object again, it is not read again
 * @param present what readDigest found in the kernel; null when it has no tables of ours
 */
export function planFor(desired: FirewallModel, applied: FirewallModel | null, present: string | null): FirewallPlan {
  if (digestOf(desired) === present) return { kind: 'nothing', script: '' };
  if (applied !== null && present !== null && digestOf(applied) === present) {
    const script = changing(rulesetOf(applied), rulesetOf(desired));
    if (script !== null) return { kind: 'change', script };
  }
  return { kind: 'replace', script: rulesFor(desired) };
}

/** Of a script. An ordinary user's nft cannot enlarge its socket's buffer (208 KiB), so to it a longer one may be "Message too long". */
export const mostCharactersAsUser = 40_000;

/**
 * rulesFor in several transactions, each short enough for an ordinary user: the ports come a few at a time. Those that are still to come get nothing through
 * meanwhile, and nobody gets more than at the end.
 */
export function rulesInSteps(model: FirewallModel): string[] {
  const having = (count: number): FirewallModel =>
    count === model.ports.length ? model : { ...model, ports: model.ports.slice(0, count) };
  const steps = (from: FirewallModel, to: FirewallModel): string[] => {
    const script = changing(rulesetOf(from), rulesetOf(to)) ?? rulesFor(to);
    const [first, last] = [from.ports.length, to.ports.length];
    if (script.length <= mostCharactersAsUser || last - first < 2) return [script];
    const middle = having((first + last) >> 1);
    return [...steps(from, middle), ...steps(middle, to)];
  };
  const start = having(0);
  return [rulesFor(start), ...(start === model ? [] : steps(start, model))];
}

/** Arguments of two programs whose outputs readDigest reads. The second is asked for its tables alone: what they are made of takes nft 100 ms of 1,000 ports. */
export const digestArguments: readonly (readonly string[])[] = [
  ['list', 'chain', 'inet', tableName, 'applied'],
  ['list', 'tables', 'bridge'],
];

/** null: not all tables of ours are there. Both are changed in one transaction, so what one says holds for the other. */
export function readDigest([applied = '', tables = '']: readonly string[]): string | null {
  const digest = /comment "([0-9a-f]{32})"/.exec(applied)?.[1] ?? null;
  return tables.split('\n').includes(`table bridge ${tableName}`) ? digest : null;
}

const digests = new WeakMap<FirewallModel, string>();
const rulesets = new WeakMap<FirewallModel, Ruleset>();

/** Stands for the model and for how this version makes rules of one. */
export function digestOf(model: FirewallModel): string {
  const known = digests.get(model);
  if (known !== undefined) return known;
  const { networks, ports, ...rest } = model;
  const hash = createHash('sha256').update(manner()).update(placesText(model)).update(JSON.stringify(rest));
  const digest = hash.digest('hex').slice(0, 32);
  digests.set(model, digest);
  return digest;
}

/** The rules of a model that has something of everything: they differ whenever the code says something else than before. */
function manner(): string {
  known ??= replacing(tablesOf(specimen));
  return known;
}
let known: string | undefined;

function rulesetOf(model: FirewallModel): Ruleset {
  const known = rulesets.get(model);
  if (known) return known;
  const ruleset = tablesOf(model);
  // a chain that no packet meets: its one rule says what all the others are
  ruleset.find(({ family }) => family === 'inet')?.chain('applied', null, [`counter comment "${digestOf(model)}"`]);
  rulesets.set(model, ruleset);
  return ruleset;
}

function tablesOf(model: FirewallModel): Ruleset {
  const facts = factsOf(model);
  return [bridgeTable(facts), inetTable(facts)];
}
