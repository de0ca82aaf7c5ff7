// `security-group.allow`: one rule more.
import type { HandlerOf } from '../../task/handler.ts';
import { changeGroup } from './change.ts';
import { ruleFrom, sameRule } from './view.ts';

export const handler: HandlerOf<'security-group.allow'> = changeGroup(
  ({ rule, group }: { rule: string; group: string }, vms) => ruleFrom(rule, vms, group),
  ({ rules, ...rest }, rule) => ({ ...rest, rules: rules.some((one) => sameRule(one, rule)) ? rules : [...rules, rule] }),
);
