// Security groups: rules about which connections the NICs in them accept and open. Replies always pass. A NIC in several groups may do what
// any of them allows; a group that denies a direction denies it for its NICs, except for what a rule allows.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { GroupName, GroupRuleText } from './security-group-rule.ts';

export const Otherwise = z.enum(['allow', 'deny']);

export const Group = z.object({
  name: z.string().describe('Name of the security group'),
  rules: z.array(z.string()).describe('Rules, in order'),
  in: Otherwise.describe('What happens to connections to its NICs that no rule allows'),
  out: Otherwise.describe('What happens to connections from its NICs that no rule allows'),
  nics: z
    .array(z.object({ vm: z.string().describe('Name of the VM'), nic: z.string().describe('NIC of that VM') }))
    .describe('NICs in the security group'),
  problem: z.string().nullable().describe('Why it cannot be used; null: it can'),
  createdAt: Time.describe('Time of creation'),
});
export type Group = z.infer<typeof Group>;

const securityGroup = GroupName.describe('Name of the security group');
const One = z.object({ securityGroup });
const rule = GroupRuleText.describe('Rule, such as "in tcp 22 from 10.0.0.0/8"');
const rules = z.array(rule).max(500, 'a security group has at most 500 rules');
const inHelp = 'Allow or deny connections to its NICs that no rule allows';
const outHelp = 'Allow or deny connections from its NICs that no rule allows';

export const create = defineOperation({
  id: 'security-group.create',
  method: 'POST',
  path: '/v1/security-groups',
  permission: 'security-group.create',
  task: true,
  summary: 'Create a security group',
  input: z.object({
    securityGroup,
    rules: rules.default([]).describe('Rule, such as "in tcp 22 from 10.0.0.0/8"'),
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
  errors: ['not_found', 'corrupt'],
  cli: { words: 'security-group show', section: 'Networks', prints: 'security-group-sheet', args: ['securityGroup'] },
});

export const allow = defineOperation({
  id: 'security-group.allow',
  method: 'POST',
  path: '/v1/security-groups/{securityGroup}/allow',
  permission: 'security-group.allow',
  task: true,
  summary: 'Add a rule to a security group; takes effect immediately',
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
  summary: 'Remove a rule from a security group; open connections continue',
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
  summary: 'Replace the rules or defaults of a security group; takes effect immediately',
  input: z.object({
    securityGroup,
    rules: rules.optional().describe('Rule, replacing all others'),
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
  input: One.extend({ force: z.boolean().default(false).describe('Remove it even if its record cannot be read') }),
  output: z.object({ name: z.string().describe('Name it had') }),
  errors: ['not_found', 'in_use', 'corrupt'],
  cli: { words: 'security-group rm', section: 'Networks', args: ['securityGroup...'], short: { force: 'f' } },
});
