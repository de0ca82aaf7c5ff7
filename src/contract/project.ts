// Projects: they own VMs, networks and images (with the snapshots, disks and port forwards of these), and have quotas.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { objectKinds } from './role.ts';

/** What is counted; null: no limit. */
export const quotaNames = ['vms', 'vcpus', 'memoryBytes', 'diskBytes', 'snapshots', 'networks', 'forwards'] as const;
export type QuotaName = (typeof quotaNames)[number];

const most = (what: string) => z.int().nonnegative().nullable().describe(`Most ${what}; null: no limit`);

export const Quotas = z.object({
  vms: most('VMs'),
  vcpus: most('vCPUs of all VMs'),
  memoryBytes: most('memory of all VMs'),
  diskBytes: most('disk of all VMs, as the guests see it'),
  snapshots: most('snapshots'),
  networks: most('networks'),
  forwards: most('port forwards'),
});

export type Quotas = z.infer<typeof Quotas>;

export const Usage = z.record(z.enum(quotaNames), z.number());
export type Usage = z.infer<typeof Usage>;

export const Project = z.object({
  id: z.string().describe('Id, never used again'),
  name: Name.describe('Name, unique on this host'),
  summary: z.string().describe('What the project is for'),
  quotas: Quotas.describe('Limits of what it owns'),
  used: Usage.describe('What it owns now, by quota'),
  createdAt: Time.describe('Time of creation'),
});

export type Project = z.infer<typeof Project>;

const project = Name.describe('Name of the project');
const One = z.object({ project });
const count = (what: string) => z.int().nonnegative().nullable().optional().describe(`Most ${what}; null: no limit`);
const limits = {
  vms: count('VMs'),
  vcpus: count('vCPUs of all VMs'),
  memoryBytes: Bytes.nullable().optional().describe('Most memory of all VMs; null: no limit'),
  diskBytes: Bytes.nullable().optional().describe('Most disk of all VMs, as the guests see it; null: no limit'),
  snapshots: count('snapshots'),
  networks: count('networks'),
  forwards: count('port forwards'),
};

export const create = defineOperation({
  id: 'project.create',
  method: 'POST',
  path: '/v1/projects',
  permission: 'project.manage',
  summary: 'Create a project',
  input: One.extend({ summary: Text.max(200).default('').describe('What the project is for'), ...limits }),
  output: Project,
  errors: ['name_taken'],
  cli: { words: 'project create', section: 'Access', args: ['project'] },
});

export const list = defineOperation({
  id: 'project.list',
  method: 'GET',
  path: '/v1/projects',
  permission: 'project.read',
  summary: 'List the projects',
  input: z.object({}),
  output: z.array(Project),
  errors: [],
  cli: { words: 'project ls', section: 'Access', prints: 'project-table' },
});

export const show = defineOperation({
  id: 'project.show',
  method: 'GET',
  path: '/v1/projects/{project}',
  permission: 'project.read',
  summary: 'Show a project, its quotas and what it uses',
  input: One,
  output: Project,
  errors: ['not_found'],
  cli: { words: 'project show', section: 'Access', prints: 'project-sheet', args: ['project'] },
});

export const set = defineOperation({
  id: 'project.set',
  method: 'PATCH',
  path: '/v1/projects/{project}',
  permission: 'project.manage',
  summary: 'Change the quotas of a project; what exists above them stays',
  input: One.extend(limits),
  output: Project,
  errors: ['not_found', 'busy'],
  cli: { words: 'project set', section: 'Access', args: ['project'] },
});

export const remove = defineOperation({
  id: 'project.remove',
  method: 'DELETE',
  path: '/v1/projects/{project}',
  permission: 'project.manage',
  summary: 'Remove a project that owns nothing',
  input: One,
  output: z.object({ name: Name.describe('Name of the project that was removed') }),
  errors: ['not_found', 'in_use', 'busy'],
  cli: { words: 'project rm', section: 'Access', args: ['project...'] },
});

export const assign = defineOperation({
  id: 'project.assign',
  method: 'POST',
  path: '/v1/projects/{project}/assign',
  permission: 'project.manage',
  summary: 'Move a VM, network or image into a project',
  input: One.extend({
    kind: z.enum(objectKinds).describe('What is moved: vm, network or image'),
    object: Text.min(1).max(160).describe('Its name or id'),
  }),
  output: Project,
  errors: [...failures.find, 'busy'],
  cli: { words: 'project assign', section: 'Access', args: ['project', 'kind', 'object'] },
});

export const release = defineOperation({
  id: 'project.release',
  method: 'POST',
  path: '/v1/projects/{project}/release',
  permission: 'project.manage',
  summary: 'Move a VM, network or image out of a project; it belongs to the host then',
  input: One.extend({
    kind: z.enum(objectKinds).describe('What is moved: vm, network or image'),
    object: Text.min(1).max(160).describe('Its name or id'),
  }),
  output: Project,
  errors: [...failures.find, 'busy'],
  cli: { words: 'project release', section: 'Access', args: ['project', 'kind', 'object'] },
});
