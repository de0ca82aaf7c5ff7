// A security group as the API shows it, and parsing of its rules.
import type { Group } from '../../contract/security-group.ts';
import { formatGroupRule, type GroupRule, parseGroupRule } from '../../contract/security-group-rule.ts';
import type { GroupRecord } from '../../network/record/security-group.ts';
import type { UnreadableRecord } from '../../store/named-records.ts';
import type { Services } from '../services.ts';

export function viewOf({ name, rules, in: into, out, createdAt }: GroupRecord, { vms, networks }: Services): Group {
  const nameOf = (id: string) => vms.byId(id)?.name ?? `${id} (removed)`;
  const nics = [...networks.nics.inGroup(name)].filter(({ snapshot }) => !snapshot).map(({ vm, nic }) => ({ vm, nic }));
  return { name, rules: rules.map((rule) => formatGroupRule(rule, nameOf)), in: into, out, nics, problem: null, createdAt };
}

/** A security group whose record cannot be read: shown so that it can be removed. */
export function unreadableView({ name, why }: UnreadableRecord, services: Services): Group {
  return { ...viewOf({ name, rules: [], in: 'deny', out: 'deny', createdAt: 0 }, services), problem: why };
}

/** @param own name of the group that the rule is for, which need not exist yet @throws not_found, ambiguous, invalid */
export function ruleFrom(text: string, services: Services, own: string): GroupRule {
  const rule = parseGroupRule(text);
  const { remote } = rule;
  if (remote.kind === 'vm') return { ...rule, remote: { kind: 'vm', vm: services.vms.find(remote.vm).id } };
  if (remote.kind === 'group' && remote.group !== own) services.networks.groups.get(remote.group);
  return rule;
}

export const sameRule = (one: GroupRule, other: GroupRule): boolean => formatGroupRule(one) === formatGroupRule(other);
