// What every VM and the host use now.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Ref, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { hostSeries, vmSeries } from './series.ts';
import { VmState } from './vm-state.ts';

const namesOf = <T extends object>(table: T) => Object.keys(table) as [keyof T & string, ...(keyof T & string)[]];

const recentCpuPercent = z
  .array(z.number().nullable())
  .describe('CPU use of the last minute, one value a second, oldest first; null: not known');

export const VmUse = z.object({
  id: z.string().describe('Id of the VM'),
  name: z.string().describe('Its name'),
  state: VmState.describe('Its state'),
  cpus: z.int().describe('vCPUs that it has'),
  memoryBytes: Bytes.describe('Memory that it has'),
  values: z.partialRecord(z.enum(namesOf(vmSeries)), z.number()).describe('What was measured last by series; what is not known is absent'),
  recentCpuPercent,
});
export type VmUse = z.infer<typeof VmUse>;

export const Top = z.object({
  at: Time.describe('When it was measured'),
  host: z
    .object({
      cpus: z.int().describe('CPUs of the host'),
      memoryBytes: Bytes.describe('Memory of the host'),
      values: z
        .partialRecord(z.enum(namesOf(hostSeries)), z.number())
        .describe('What was measured last by series; what is not known is absent'),
      recentCpuPercent,
    })
    .describe('The host'),
  vms: z.array(VmUse).describe('Every VM, by name'),
});
export type Top = z.infer<typeof Top>;

export const show = defineOperation({
  id: 'top.show',
  method: 'GET',
  path: '/v1/top',
  permission: 'top.read',
  summary: 'Show what every VM and the host use now',
  input: z.object({}),
  output: Top,
  errors: [],
  cli: { words: 'top', section: 'Monitoring', custom: true },
});

export const follow = defineOperation({
  id: 'top.follow',
  method: 'GET',
  path: '/v1/top/follow',
  permission: 'top.read',
  transport: 'events',
  summary: 'Follow what every VM and the host use',
  input: z.object({
    everyMs: z.coerce.number().int().min(1000).max(60_000).default(2000).describe('Time between two reports'),
    vm: Ref.optional().describe('Only this VM and the host'),
  }),
  output: Top,
  errors: [...failures.find],
});
