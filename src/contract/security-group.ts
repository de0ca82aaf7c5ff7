// Security groups: rules about who may reach the NICs that are in them, and whom those may reach. Answers always pass. A NIC in several
// groups may do what any of them allows; a group that denies a direction closes it for its NICs, but for what a rule allows.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { GroupName, GroupRuleText } from './security-group-rule.ts';

export const Otherwise = z.enum(['allow', 'deny']);

export const Group = z.object({
  name: z.string(),
  /** As in security-group-rule.ts. */
  rules: z.array(z.string()),
  /** What happens to what no rule allows. */
  in: Otherwise,
  out: Otherwise,
  nics: z.array(z.object({ vm: z.string(), nic: z.string() })),
  createdAt: Time,
});
export type Group = z.infer<typeof Group>;

const securityGroup = GroupName.describe('Name of the security group');
const One = z.object({ securityGroup });
const rule = GroupRuleText.describe('Rule, such as "in tcp 22 from 10.0.0.0/8"');
const rules = z.array(rule).max(500, 'a group has at most 500 rules');
const inHelp = 'What happens to connections to its VMs that no rule allows';
const outHelp = 'What happens to connections of its VMs that no rule allows';

export const create = defineOperation({
  id: 'security-group.create',
  method: 'POST',
  path: '/v1/security-groups',
  permission: 'security-group.create',
  task: true,
  summary: 'Make a security group',
  input: z.object({
    securityGroup,
    rules: rules.default([]),
    in: Otherwise.default('deny').describe(inHelp),
    out: Otherwise.default('allow').describe(outHelp),
  }),
  output: Group,
  errors: [...failures.find, 'name_taken'],
  cli: { words: 'security-group create', section: 'Networks', args: ['securityGroup'] },
});

export const list = defineOperation({
  id: 'security-group.list',
  method: 'GET',
  path: '/v1/security-groups',
  permission: 'security-group.read',
  summary: 'List the security groups',
  input: z.object({}),
  output: z.array(Group),
  errors: [],
  cli: { words: 'security-group ls', section: 'Networks', prints: 'security-group-table' },
});

export const show = defineOperation({
  id: 'security-group.show',
  method: 'GET',
  path: '/v1/security-groups/{securityGroup}',
  permission: 'security-group.read',
  summary: 'Show a security group, its rules and the NICs in it',
  input: One,
  output: Group,
  errors: ['not_found'],
  cli: { words: 'security-group show', section: 'Networks', prints: 'security-group-sheet', args: ['securityGroup'] },
});

export const allow = defineOperation({
  id: 'security-group.allow',
  method: 'POST',
  path: '/v1/security-groups/{securityGroup}/allow',
  permission: 'security-group.allow',
  task: true,
  summary: 'Add a rule to a security group; it counts at once',
  input: z.object({ securityGroup, rule }),
  output: Group,
  errors: [...failures.find, 'unsupported'],
  cli: { words: 'security-group allow', section: 'Networks', args: ['securityGroup', 'rule+'] },
});

export const revoke = defineOperation({
  id: 'security-group.revoke',
  method: 'POST',
  path: '/v1/security-groups/{securityGroup}/revoke',
  permission: 'security-group.revoke',
  task: true,
  summary: 'Take a rule away from a security group; connections that are open go on',
  input: z.object({ securityGroup, rule }),
  output: Group,
  errors: [...failures.find, 'unsupported'],
  cli: { words: 'security-group revoke', section: 'Networks', args: ['securityGroup', 'rule+'] },
});

export const set = defineOperation({
  id: 'security-group.set',
  method: 'PATCH',
  path: '/v1/security-groups/{securityGroup}',
  permission: 'security-group.set',
  task: true,
  summary: 'Change what a security group does, all of it at once',
  input: z.object({
    securityGroup,
    rules: rules.optional().describe('Rule, in place of those that it has'),
    in: Otherwise.optional().describe(inHelp),
    out: Otherwise.optional().describe(outHelp),
  }),
  output: Group,
  errors: [...failures.find, 'unsupported'],
  cli: { words: 'security-group set', section: 'Networks', args: ['securityGroup'] },
});

export const remove = defineOperation({
  id: 'security-group.remove',
  method: 'DELETE',
  path: '/v1/security-groups/{securityGroup}',
  permission: 'security-group.remove',
  task: true,
  summary: 'Remove a security group that no NIC is in',
  input: One,
  output: z.object({ name: z.string() }),
  errors: ['not_found', 'in_use'],
  cli: { words: 'security-group rm', section: 'Networks', args: ['securityGroup...'] },
});
