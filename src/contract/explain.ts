// `viv explain`: what holds for one VM's share of the host, and why.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Event } from './event.ts';
import { Bytes, Ref } from './field.ts';
import { defineOperation } from './operation.ts';

export const Explanation = z.object({
  id: z.string().describe('Id of the VM'),
  name: z.string().describe('Name of the VM'),
  holds: z.array(z.string()).describe('What is in force, a sentence each'),
  observed: z
    .object({
      cpuUsed: z.number().describe('CPUs used, on average over the governor’s last step'),
      cpuThrottled: z.number().describe('Part of the periods in which its limit stopped it, from 0 to 1'),
      memoryBytes: Bytes.describe('Memory that it has'),
      guestAvailableBytes: Bytes.nullable().describe('Memory available to its programs; null: no balloon driver answers'),
      guestMemoryPressure: z
        .number()
        .nullable()
        .describe('Percent of the last 10 s in which a program in the guest waited for memory; null: not known'),
      idleMs: z.int().describe('How long it has used next to no CPU'),
    })
    .nullable()
    .describe('What the governor saw of it last; null: it does not run, or was not measured yet'),
  decisions: z.array(Event).describe('Decisions of the governor about it, oldest first'),
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
