// What the API shows of a security group, and what all its operations share.
import type { Group } from '../../contract/security-group.ts';
import { formatGroupRule, type GroupRule, parseGroupRule } from '../../contract/security-group-rule.ts';
import type { GroupRecord } from '../../network/record/security-group.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import type { Services } from '../services.ts';

export function viewOf({ name, rules, in: into, out, createdAt }: GroupRecord, { vms }: Services): Group {
  const nameOf = (id: string) => vms.byId(id)?.name ?? `${id} (removed)`;
  const nics = [...vms.networks.nics.inGroup(name)].filter(({ snapshot }) => !snapshot).map(({ vm, nic }) => ({ vm, nic }));
  return { name, rules: rules.map((rule) => formatGroupRule(rule, nameOf)), in: into, out, nics, createdAt };
}

/** Its VM is found, and its group is there, or is to be `own`. @throws not_found, ambiguous, invalid */
export function ruleFrom(text: string, vms: VmRegistry, own: string): GroupRule {
  const rule = parseGroupRule(text);
  const { remote } = rule;
  if (remote.kind === 'vm') return { ...rule, remote: { kind: 'vm', vm: vms.find(remote.vm).id } };
  if (remote.kind === 'group' && remote.group !== own) vms.networks.groups.get(remote.group);
  return rule;
}

export const sameRule = (one: GroupRule, other: GroupRule): boolean => formatGroupRule(one) === formatGroupRule(other);
