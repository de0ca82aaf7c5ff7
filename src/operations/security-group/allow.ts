// `security-group.allow`: adds a rule.
import type { HandlerOf } from '../handler.ts';
import { changeGroup } from './change.ts';
import { ruleFrom, sameRule } from './view.ts';

export const handler: HandlerOf<'security-group.allow'> = changeGroup(
  ({ rule, securityGroup }: { rule: string; securityGroup: string }, vms) => ruleFrom(rule, vms, securityGroup),
  ({ rules, ...rest }, rule) => ({ ...rest, rules: rules.some((one) => sameRule(one, rule)) ? rules : [...rules, rule] }),
);
