// Warm pools: forks of a point that stand ready, so that one is there the moment it is asked for.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { Vm } from './vm.ts';

export const Pool = z.object({
  name: Name,
  /** Name of the machine whose point it is. */
  vm: z.string(),
  /** Label of the point, or its id where it has none. */
  point: z.string(),
  pointId: z.string(),
  /** How many are kept ready. */
  size: z.int(),
  /** How many are ready now. */
  ready: z.int(),
  /** Memory of the host that they hold. */
  memoryBytes: Bytes,
  /** Why it is not full and not being filled; null when it is. */
  problem: z.string().nullable(),
  createdAt: Time,
});
export type Pool = z.infer<typeof Pool>;

const pool = Name.describe('Name of the pool');
const size = z.int().min(0).max(1000).describe('How many machines are kept ready');
const One = z.object({ pool });

export const create = defineOperation({
  id: 'pool.create',
  method: 'POST',
  path: '/v1/pools',
  role: 'operator',
  task: true,
  summary: 'Keep forks of a point ready; they are made in the background',
  input: z.object({
    pool,
    from: Text.max(270)
      .regex(/^[^@]+@.+$/s, 'a point is named like web@before-upgrade')
      .describe('Point with memory that they are forks of, such as web@before-upgrade'),
    size: size.default(5),
  }),
  output: Pool,
  errors: [...failures.find, 'name_taken', 'unsupported', 'corrupt', 'no_accelerator', 'missing_program'],
  cli: { command: 'pool create', args: ['pool'] },
});

export const list = defineOperation({
  id: 'pool.list',
  method: 'GET',
  path: '/v1/pools',
  role: 'viewer',
  summary: 'List the warm pools',
  input: z.object({}),
  output: z.array(Pool),
  errors: [],
  cli: { command: 'pool ls', custom: true },
});

export const show = defineOperation({
  id: 'pool.show',
  method: 'GET',
  path: '/v1/pools/{pool}',
  role: 'viewer',
  summary: 'Show one pool',
  input: One,
  output: Pool,
  errors: ['not_found'],
  cli: { command: 'pool show', args: ['pool'] },
});

export const set = defineOperation({
  id: 'pool.set',
  method: 'PATCH',
  path: '/v1/pools/{pool}',
  role: 'operator',
  task: true,
  summary: 'Change how many machines a pool keeps ready',
  input: One.extend({ size }),
  output: Pool,
  errors: ['not_found'],
  cli: { command: 'pool set', args: ['pool'] },
});

export const remove = defineOperation({
  id: 'pool.remove',
  method: 'DELETE',
  path: '/v1/pools/{pool}',
  role: 'operator',
  task: true,
  summary: 'Remove a pool and end what is ready in it; machines taken from it stay',
  input: One,
  output: z.object({ name: Name }),
  errors: ['not_found'],
  cli: { command: 'pool rm', args: ['pool...'] },
});

export const take = defineOperation({
  id: 'pool.take',
  method: 'POST',
  path: '/v1/pools/{pool}/take',
  role: 'operator',
  task: true,
  summary: 'Take a running machine out of a pool; an empty one makes it at once',
  input: One.extend({ name: Name.optional().describe('Name of the machine; the pool’s name and a number when left out') }),
  output: Vm,
  errors: ['not_found', 'name_taken', 'in_use', ...failures.start],
  cli: { command: 'pool take', args: ['pool'] },
});

/** What the daemon does in the background; calling it brings no harm. */
export const fill = defineOperation({
  id: 'pool.fill',
  method: 'POST',
  path: '/v1/pools/{pool}/fill',
  role: 'operator',
  task: true,
  summary: 'Make one machine that a pool lacks',
  input: One,
  output: Pool,
  errors: ['not_found', 'name_taken', 'in_use', ...failures.start],
});
