// Security groups as chains. Ports with the same groups share one chain. The members of a group are a set of addresses, which is reliable because source
// addresses cannot be forged. Where a group denies a direction by default, only what a rule of any of the port's groups allows passes.
import type { Address } from './address.ts';
import { subnet } from './address.ts';
import { type Facts, type PortFacts, portText } from './facts.ts';
import type { Direction, GroupRule, SecurityGroup } from './model.ts';
import { named } from './names.ts';
import type { Table } from './ruleset.ts';

/** Name of the chain of these groups; null: there are none. */
export function groupChain(groups: readonly string[], direction: Direction): string | null {
  return groups.length === 0 ? null : named(direction, ...groups);
}

/** Adds one for every combination that some port has. @param allow verdict of allowed packets @param drop chain of the others */
export function groupChains(table: Table, facts: Facts, direction: Direction, allow: string, drop: string): void {
  for (const names of facts.combinations) {
    const chain = groupChain(names, direction);
    if (chain === null) continue;
    const groups = names.flatMap((name) => facts.groups.get(name) ?? []);
    const open = groups.every(({ otherwise }) => otherwise[direction] === 'allow');
    const rules = groups.flatMap((group) =>
      group.rules.filter((rule) => rule.direction === direction).flatMap((rule) => lines(table, facts, group, rule, allow)),
    );
    table.chain(chain, null, open ? [allow] : [...new Set(rules), `goto ${drop}`]);
  }
}

function lines(table: Table, facts: Facts, group: SecurityGroup, rule: GroupRule, allow: string): string[] {
  const remote = rule.direction === 'in' ? 'saddr' : 'daddr';
  const what = service(rule, `a rule of security group ${JSON.stringify(group.name)}`);
  return remotes(table, facts, rule)
    .map((peer) => (peer === null ? '' : `${peer.family === 4 ? 'ip' : 'ip6'} ${remote} ${peer.text}`))
    .map((peer) => [peer, what, allow].filter((part) => part !== '').join(' '));
}

function service({ protocol, ports }: GroupRule, what: string): string {
  if (protocol === 'any') return '';
  if (protocol === 'icmp') return 'meta l4proto { icmp, icmpv6 }';
  return ports ? `${protocol} dport ${portText(ports, what)}` : `meta l4proto ${protocol}`;
}

function remotes(table: Table, facts: Facts, { remote }: GroupRule): ({ family: 4 | 6; text: string } | null)[] {
  if (remote.kind === 'any') return [null];
  if (remote.kind === 'cidr') return [subnet(remote.cidr, 'the remote of a rule')];
  const name = remote.kind === 'group' ? remote.group : remote.vm;
  const members = facts.members[remote.kind].get(name) ?? noMembers;
  return addressSets(table, named(remote.kind, name), () => members.flatMap(({ own }) => own), members);
}

const noMembers: readonly PortFacts[] = [];

/** Sets NAME_4 and NAME_6. @param source the object that the addresses depend on alone, if there is one */
export function addressSets(
  table: Table,
  name: string,
  addresses: () => readonly Address[],
  source?: object,
): { family: 4 | 6; text: string }[] {
  return ([4, 6] as const).map((family) => {
    const set = `${name}_${family}`;
    const make = (part: Table) => {
      const texts = addresses().flatMap((address) => (address.family === family ? [address.text] : []));
      part.set(set, `type ipv${family}_addr`, texts);
    };
    if (!table.elements.has(set)) {
      if (source) table.lasting(source, set, make);
      else make(table);
    }
    return { family, text: `@${set}` };
  });
}
