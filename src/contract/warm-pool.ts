// Warm pools: running forks of a snapshot that are kept ready, so that taking one is immediate.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { Vm } from './vm-state.ts';

export const WarmPool = z.object({
  name: Name.describe('Name of the warm pool'),
  vm: z.string().describe('Name of the VM whose snapshot is forked'),
  snapshot: z.string().describe('Label of the snapshot, or its id'),
  snapshotId: z.string().describe('Id of the snapshot'),
  size: z.int().describe('Number of VMs kept ready'),
  ready: z.int().describe('Number of VMs that are ready now'),
  memoryBytes: Bytes.describe('Memory of the host that the ready VMs take'),
  problem: z.string().nullable().describe('Why it is not full and is not being filled; null: it is'),
  createdAt: Time.describe('Time of creation'),
});
export type WarmPool = z.infer<typeof WarmPool>;

const warmPool = Name.describe('Name of the warm pool');
const size = z.int().min(0).max(1000).describe('Number of VMs kept ready');
const One = z.object({ warmPool });

export const create = defineOperation({
  id: 'warm-pool.create',
  method: 'POST',
  path: '/v1/warm-pools',
  permission: 'warm-pool.create',
  task: true,
  summary: 'Create a warm pool: running forks of a snapshot, kept ready',
  input: z.object({
    warmPool,
    from: Text.max(270)
      .regex(/^[^@]+@.+$/s, 'a snapshot is named like web@before-upgrade')
      .describe('Snapshot with memory to fork, such as web@before-upgrade'),
    size: size.default(5),
  }),
  output: WarmPool,
  errors: [...failures.find, 'name_taken', 'unsupported', 'corrupt', 'no_accelerator', 'missing_program'],
  cli: { words: 'warm-pool create', section: 'Snapshots and forks', args: ['warmPool'] },
});

export const list = defineOperation({
  id: 'warm-pool.list',
  method: 'GET',
  path: '/v1/warm-pools',
  permission: 'warm-pool.read',
  summary: 'List the warm pools',
  input: z.object({}),
  output: z.array(WarmPool),
  errors: [],
  cli: { words: 'warm-pool ls', section: 'Snapshots and forks', prints: 'warm-pool-table' },
});

export const show = defineOperation({
  id: 'warm-pool.show',
  method: 'GET',
  path: '/v1/warm-pools/{warmPool}',
  permission: 'warm-pool.read',
  summary: 'Show a warm pool',
  input: One,
  output: WarmPool,
  errors: ['not_found', 'corrupt'],
  cli: { words: 'warm-pool show', section: 'Snapshots and forks', prints: 'warm-pool-sheet', args: ['warmPool'] },
});

export const set = defineOperation({
  id: 'warm-pool.set',
  method: 'PATCH',
  path: '/v1/warm-pools/{warmPool}',
  permission: 'warm-pool.set',
  task: true,
  summary: 'Change the number of VMs that a warm pool keeps ready',
  input: One.extend({ size }),
  output: WarmPool,
  errors: ['not_found', 'corrupt'],
  cli: { words: 'warm-pool set', section: 'Snapshots and forks', args: ['warmPool'] },
});

export const remove = defineOperation({
  id: 'warm-pool.remove',
  method: 'DELETE',
  path: '/v1/warm-pools/{warmPool}',
  permission: 'warm-pool.remove',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Remove a warm pool and its ready VMs; VMs taken from it stay',
  input: One.extend({ force: z.boolean().default(false).describe('Remove it even if its record cannot be read') }),
  output: z.object({ name: Name.describe('Name it had') }),
  errors: ['not_found', 'corrupt'],
  cli: { words: 'warm-pool rm', section: 'Snapshots and forks', args: ['warmPool...'], short: { force: 'f' } },
});

export const take = defineOperation({
  id: 'warm-pool.take',
  method: 'POST',
  path: '/v1/warm-pools/{warmPool}/take',
  permission: 'warm-pool.take',
  task: true,
  summary: 'Take a running VM out of a warm pool; an empty one forks it immediately',
  input: One.extend({ name: Name.optional().describe('Name of the VM (default: the warm pool’s name and a number)') }),
  output: Vm,
  errors: ['not_found', 'name_taken', 'in_use', ...failures.start],
  cli: { words: 'warm-pool take', section: 'Snapshots and forks', args: ['warmPool'] },
});

/** What the daemon does in the background; calling it is harmless. */
export const fill = defineOperation({
  id: 'warm-pool.fill',
  method: 'POST',
  path: '/v1/warm-pools/{warmPool}/fill',
  permission: 'warm-pool.set',
  task: true,
  summary: 'Fork one VM that a warm pool lacks',
  input: One,
  output: WarmPool,
  errors: ['not_found', 'name_taken', 'in_use', ...failures.start],
});
