// `security-group.revoke`: removes a rule.
import { VivError } from '../../contract/errors.ts';
import { formatGroupRule, parseGroupRule } from '../../contract/security-group-rule.ts';
import type { HandlerOf } from '../handler.ts';
import { changeGroup } from './change.ts';
import { sameRule } from './view.ts';

export const handler: HandlerOf<'security-group.revoke'> = changeGroup(
  ({ rule: text, securityGroup: group }: { rule: string; securityGroup: string }, { vms }, { rules }) => {
    // As it is displayed: the VM or group of a rule may have been removed.
    const desired = formatGroupRule(parseGroupRule(text.replace(/ \(removed\)$/, '')));
    const nameOf = (id: string) => vms.byId(id)?.name ?? id;
    const found = rules.find((rule) => [formatGroupRule(rule, nameOf), formatGroupRule(rule)].includes(desired));
    if (!found)
      throw new VivError('not_found', `the security group ${group} has no rule "${desired}"; viv security-group show ${group} lists them`);
    return found;
  },
  ({ rules, ...rest }, rule) => ({ ...rest, rules: rules.filter((one) => !sameRule(one, rule)) }),
);
