// What the API shows of a security group, and what all its operations share.
import type { Group } from '../../contract/security-group.ts';
import { formatGroupRule, type GroupRule, parseGroupRule } from '../../contract/security-group-rule.ts';
import type { GroupRecord } from '../../network/record/security-group.ts';
import type { Machines } from '../../vm/registry.ts';
import type { Services } from '../services.ts';

export function viewOf({ name, rules, in: into, out, createdAt }: GroupRecord, { machines }: Services): Group {
  const nameOf = (id: string) => machines.byId(id)?.name ?? `${id} (removed)`;
  const cards = [...machines.networks.cards.inGroup(name)].filter(({ point }) => !point).map(({ vm, nic }) => ({ vm, nic }));
  return { name, rules: rules.map((rule) => formatGroupRule(rule, nameOf)), in: into, out, cards, createdAt };
}

/** Its machine is found, and its group is there, or is to be `own`. @throws not_found, ambiguous, invalid */
export function ruleFrom(text: string, machines: Machines, own: string): GroupRule {
  const rule = parseGroupRule(text);
  const { remote } = rule;
  if (remote.kind === 'machine') return { ...rule, remote: { kind: 'machine', machine: machines.find(remote.machine).id } };
  if (remote.kind === 'group' && remote.group !== own) machines.networks.groups.get(remote.group);
  return rule;
}

export const sameRule = (one: GroupRule, other: GroupRule): boolean => formatGroupRule(one) === formatGroupRule(other);
