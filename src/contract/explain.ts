// `viv explain`: what holds for one VM's share of the host, and why.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Event } from './event.ts';
import { Bytes, Ref } from './field.ts';
import { defineOperation } from './operation.ts';

export const Explanation = z.object({
  id: z.string(),
  name: z.string(),
  /** What is in force, in one sentence each. */
  holds: z.array(z.string()),
  /** What the governor saw of it last; null: it does not run, or was not measured yet. */
  observed: z
    .object({
      /** CPUs used, on average over the last step. */
      cpuUsed: z.number(),
      /** Part of the periods in which its limit stopped it. */
      cpuThrottled: z.number(),
      memoryBytes: Bytes,
      /** What its programs can still be given; null: no balloon driver answers. */
      guestAvailableBytes: Bytes.nullable(),
      idleMs: z.int(),
    })
    .nullable(),
  /** The governor's decisions about it, oldest first. */
  decisions: z.array(Event),
});
export type Explanation = z.infer<typeof Explanation>;

export const explain = defineOperation({
  id: 'vm.explain',
  method: 'GET',
  path: '/v1/vms/{vm}/explain',
  permission: 'vm.read',
  summary: 'Explain the CPU and memory that a VM has, and what the governor decided about it',
  input: z.object({
    vm: Ref.describe('Name or id'),
    limit: z.coerce.number().int().min(1).max(1000).default(20).describe('Decisions at most'),
  }),
  output: Explanation,
  errors: [...failures.find],
  cli: { words: 'explain', section: 'VMs', args: ['vm'], prints: 'explanation' },
});
