// What every VM and the host use now.
import { z } from 'zod';
import { Bytes, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { hostSeries, vmSeries } from './series.ts';
import { VmState } from './vm-state.ts';

const namesOf = <T extends object>(table: T) => Object.keys(table) as [keyof T & string, ...(keyof T & string)[]];

export const VmUse = z.object({
  id: z.string(),
  name: z.string(),
  state: VmState,
  cpus: z.int(),
  memoryBytes: Bytes,
  /** What was measured last; empty where the VM does not run. */
  values: z.partialRecord(z.enum(namesOf(vmSeries)), z.number()),
  /** CPU use of the last minute in percent, one value a second, oldest first; null where it is not known. */
  recentCpuPercent: z.array(z.number().nullable()),
});
export type VmUse = z.infer<typeof VmUse>;

export const Top = z.object({
  at: Time,
  host: z.object({
    cpus: z.int(),
    memoryBytes: Bytes,
    values: z.partialRecord(z.enum(namesOf(hostSeries)), z.number()),
    recentCpuPercent: z.array(z.number().nullable()),
  }),
  vms: z.array(VmUse),
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
