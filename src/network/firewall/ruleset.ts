// Tables as data, and the scripts that load them: a replacement of everything, or the difference between two. A script is one transaction of `nft -f -`:
// packets see the old rules or the new ones. Connections are the kernel's and survive both. What a change does not concern keeps its counters, and sets that
// others fill (dnsmasq) keep their elements.
//
// What exists once for each port is an element of a set or map, counters included: before nft adds a rule it reads all tables, chains, sets and named objects,
// but no elements. With a named counter for each port that took most of the time of a change.
import { tableName } from './names.ts';

export interface Chain {
  /** "type filter hook ...; policy ..."; null for one that others jump to. */
  readonly hook: string | null;
  readonly rules: string[];
}

export interface Elements {
  readonly kind: 'set' | 'map';
  /** "type ...; flags ..."; "counter" makes each element count its matches. */
  readonly head: string;
  /** Null: filled by others. */
  readonly keys: readonly string[] | null;
  /** One for each key of a map. */
  readonly values: readonly string[];
}

export class Table {
  readonly family: 'bridge' | 'inet';
  readonly elements = new Map<string, Elements>();
  readonly chains = new Map<string, Chain>();

  constructor(family: 'bridge' | 'inet') {
    this.family = family;
  }

  chain(name: string, hook: string | null, rules: readonly string[]): string {
    this.chains.set(name, { hook, rules: [...rules] });
    return name;
  }

  /**
   * Adds what depends on `source` alone. It is built once for each source, so that other changes do not even compare it.
   * @param label unique for this family and source
   */
  lasting(source: object, label: string, build: (part: Table) => void): void {
    const kept = parts.get(source) ?? new Map<string, Table>();
    parts.set(source, kept);
    const key = `${this.family} ${label}`;
    let part = kept.get(key);
    if (!part) {
      part = new Table(this.family);
      build(part);
      kept.set(key, part);
    }
    for (const [name, elements] of part.elements) this.elements.set(name, elements);
    for (const [name, chain] of part.chains) this.chains.set(name, chain);
  }

  set(name: string, head: string, keys: readonly string[] | null): string {
    this.elements.set(name, { kind: 'set', head, keys, values: [] });
    return name;
  }

  map(name: string, head: string, entries: readonly (readonly [string, string])[]): string {
    this.elements.set(name, { kind: 'map', head, keys: entries.map(([key]) => key), values: entries.map(([, value]) => value) });
    return name;
  }
}

const parts = new WeakMap<object, Map<string, Table>>();

export type Ruleset = readonly Table[];

/** Replaces the tables, whatever they contain. */
export function replacing(ruleset: Ruleset, tables: string = tableName): string {
  const lines = ruleset.flatMap(({ family }) => [
    `add table ${family} ${tables}`,
    `delete table ${family} ${tables}`,
    `add table ${family} ${tables}`,
  ]);
  for (const table of ruleset) lines.push(...differences(new Table(table.family), table, `${table.family} ${tables}`));
  return finished(lines);
}

/** The difference; '' where there is none. Null: the type of a set or a hook differs, so everything has to be replaced. */
export function changing(from: Ruleset, to: Ruleset): string | null {
  const lines: string[] = [];
  for (const table of to) {
    const before = from.find(({ family }) => family === table.family);
    if (!before || !sameShape(before, table)) return null;
    lines.push(...differences(before, table, `${table.family} ${tableName}`));
  }
  return finished(lines);
}

function sameShape(before: Table, after: Table): boolean {
  for (const [name, { head }] of after.elements) if ((before.elements.get(name)?.head ?? head) !== head) return false;
  for (const [name, { hook }] of after.chains) if ((before.chains.get(name) ?? { hook }).hook !== hook) return false;
  return true;
}

/** Ordered so that nothing is used before it exists or deleted while it is used. */
function differences(before: Table, after: Table, table: string): string[] {
  const lines: string[] = [];
  const late: string[] = [];
  for (const [name, { kind, head }] of after.elements)
    if (!before.elements.has(name)) lines.push(`add ${kind} ${table} ${name} { ${head}; }`);
  for (const [name, { hook }] of after.chains) {
    if (!before.chains.has(name)) lines.push(`add chain ${table} ${name}${hook === null ? '' : ` { ${hook}; }`}`);
  }
  for (const [name, { keys, values }] of before.elements) {
    const gone = missing(keys, values, after.elements.get(name));
    if (gone.length > 0) lines.push(`delete element ${table} ${name} { ${[...new Set(gone.map(([key]) => key))].join(', ')} }`);
  }
  for (const [name, { rules }] of [...before.chains])
    if (rules.length > 0 && !same(rules, after.chains.get(name)?.rules)) lines.push(`flush chain ${table} ${name}`);
  for (const [name, { rules }] of after.chains) {
    if (!same(rules, before.chains.get(name)?.rules)) lines.push(...rules.map((rule) => `add rule ${table} ${name} ${rule}`));
  }
  for (const [name, { keys, values }] of after.elements) {
    const fresh = missing(keys, values, before.elements.get(name)).map(([key, value]) => (value === undefined ? key : `${key} : ${value}`));
    if (fresh.length > 0) lines.push(`add element ${table} ${name} { ${fresh.join(', ')} }`);
  }
  for (const name of before.chains.keys()) if (!after.chains.has(name)) late.push(`delete chain ${table} ${name}`);
  for (const [name, { kind }] of before.elements) if (!after.elements.has(name)) late.push(`delete ${kind} ${table} ${name}`);
  return [...lines, ...late];
}

/** Elements that the other does not have, or has with another value. */
function missing(keys: readonly string[] | null, values: readonly string[], other: Elements | undefined): [string, string | undefined][] {
  if (keys === null || other?.keys === null || keys === other?.keys) return [];
  if (same(keys, other?.keys) && same(values, other?.values)) return []; // the usual case
  const there = new Map(other?.keys.map((key, at) => [key, other.values[at] ?? '']));
  return keys.map((key, at): [string, string | undefined] => [key, values[at]]).filter(([key, value]) => there.get(key) !== (value ?? ''));
}

function same(one: readonly string[], other: readonly string[] | undefined): boolean {
  return other !== undefined && one.length === other.length && one.every((rule, at) => rule === other[at]);
}

function finished(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
