// `security-group.set`: replaces the rules, and what happens to packets that none allows.
import { VivError } from '../../contract/errors.ts';
import type { operations } from '../../contract/index.ts';
import type { InputOf } from '../../contract/operation.ts';
import type { HandlerOf } from '../handler.ts';
import { changeGroup } from './change.ts';
import { ruleFrom } from './view.ts';

export const handler: HandlerOf<'security-group.set'> = changeGroup(
  ({ securityGroup: group, rules, in: into, out }: InputOf<typeof operations.securityGroup.set>, vms) => {
    if (rules === undefined && into === undefined && out === undefined)
      throw new VivError('invalid', `no setting of security group ${group} is given; see: viv security-group set --help`);
    return {
      ...(rules === undefined ? {} : { rules: rules.map((text) => ruleFrom(text, vms, group)) }),
      ...(into === undefined ? {} : { in: into }),
      ...(out === undefined ? {} : { out }),
    };
  },
  (group, change) => ({ ...group, ...change }),
);
