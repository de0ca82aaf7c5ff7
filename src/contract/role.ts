// Roles: named sets of permissions, and where they can be assigned. A permission is `noun.verb`; every operation declares one.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Name, Text } from './field.ts';
import { defineOperation } from './operation.ts';
import type { BuiltInRole } from './permission.ts';

/** `vm.read`, `vm.*` (every permission on VMs) or `*` (every permission). */
export const PermissionPattern = z
  .string()
  .max(80, 'a permission has at most 80 characters')
  .regex(/^(\*|[a-z][a-z-]*\.(\*|[a-z][a-z-]*))$/, 'a permission is written like vm.read, vm.* or *');

export const roleSummaries: Readonly<Record<BuiltInRole, string>> = {
  viewer: 'Sees VMs, snapshots, networks, images, tasks and events',
  operator: 'Creates, changes, runs and removes VMs and all that belongs to them',
  administrator: 'Does everything',
  auditor: 'Sees what a viewer sees, users and roles, and the audit log; changes nothing',
};

export const Role = z.object({
  name: Name.describe('Name, unique on this host'),
  builtIn: z.boolean().describe('Whether every host has it; it cannot be changed then'),
  summary: z.string().describe('What the role is for'),
  permissions: z.array(z.string()).describe('Permissions, in the order of the alphabet, patterns resolved'),
});

export type Role = z.infer<typeof Role>;

/** Kinds of objects that a role can be assigned on and that a project can own. Snapshots, disks and port forwards follow their VM. */
export const objectKinds = ['vm', 'network', 'image'] as const;
export type ObjectKind = (typeof objectKinds)[number];

/** Where a role counts: `host`, `project:NAME`, `vm:NAME`, `network:NAME` or `image:NAME`. */
export const ScopeText = z
  .string()
  .max(200, 'a scope has at most 200 characters')
  .regex(
    /^(host|(project|vm|network|image):[a-zA-Z0-9][a-zA-Z0-9._:-]*)$/,
    'a scope is host, project:NAME, vm:NAME, network:NAME or image:NAME',
  );

const role = Name.describe('Name of the role');
const permission = z.array(PermissionPattern).min(1).max(200).describe('Permission such as vm.read or vm.* (repeatable)');
const One = z.object({ role });

export const list = defineOperation({
  id: 'role.list',
  method: 'GET',
  path: '/v1/roles',
  permission: 'role.read',
  summary: 'List the roles',
  input: z.object({}),
  output: z.array(Role),
  errors: [],
  cli: { words: 'role ls', section: 'Access', prints: 'role-table' },
});

export const show = defineOperation({
  id: 'role.show',
  method: 'GET',
  path: '/v1/roles/{role}',
  permission: 'role.read',
  summary: 'Show a role and its permissions',
  input: One,
  output: Role,
  errors: ['not_found'],
  cli: { words: 'role show', section: 'Access', prints: 'role-sheet', args: ['role'] },
});

export const create = defineOperation({
  id: 'role.create',
  method: 'POST',
  path: '/v1/roles',
  permission: 'role.manage',
  summary: 'Create a role from permissions',
  input: One.extend({ permission, summary: Text.max(200).default('').describe('What the role is for') }),
  output: Role,
  errors: ['name_taken'],
  cli: { words: 'role create', section: 'Access', args: ['role'] },
});

export const set = defineOperation({
  id: 'role.set',
  method: 'PATCH',
  path: '/v1/roles/{role}',
  permission: 'role.manage',
  summary: 'Replace the permissions of a role; takes effect immediately',
  input: One.extend({ permission }),
  output: Role,
  errors: ['not_found', 'wrong_state', 'busy'],
  cli: { words: 'role set', section: 'Access', args: ['role'] },
});

export const remove = defineOperation({
  id: 'role.remove',
  method: 'DELETE',
  path: '/v1/roles/{role}',
  permission: 'role.manage',
  summary: 'Remove a role that is assigned to no user',
  input: One,
  output: z.object({ name: Name.describe('Name of the role that was removed') }),
  errors: [...failures.find, 'wrong_state', 'in_use', 'busy'],
  cli: { words: 'role rm', section: 'Access', args: ['role...'] },
});
