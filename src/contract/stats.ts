// Statistics: what VMs and the host have used over time.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Ref, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const History = z.object({
  vm: z
    .object({ id: z.string().describe('Id of the VM'), name: z.string().describe('Its name') })
    .nullable()
    .describe('The VM; null: the host'),
  stepMs: z.int().describe('Time between two points'),
  at: z.array(Time).describe('When the interval of each point begins'),
  mean: z
    .record(z.string(), z.array(z.number().nullable()))
    .describe('Mean of each interval by series; null: not known. A series of which nothing is known is absent'),
  max: z.record(z.string(), z.array(z.number().nullable())).describe('Maximum of each interval by series, likewise'),
});
export type History = z.infer<typeof History>;

const hour = 3_600_000;

export const show = defineOperation({
  id: 'stats.show',
  method: 'GET',
  path: '/v1/stats',
  permission: 'stats.read',
  summary: 'Show what a VM or the host has used over time',
  input: z.object({
    vm: Ref.optional().describe('VM (default: the host)'),
    sinceMs: z.coerce
      .number()
      .int()
      .min(1000)
      .max(366 * 24 * hour)
      .default(hour)
      .describe('How far back, up to a year'),
    untilMs: z.coerce
      .number()
      .int()
      .min(0)
      .max(366 * 24 * hour)
      .default(0)
      .describe('Where it ends, as time before now'),
    points: z.coerce.number().int().min(1).max(10_080).default(600).describe('At most this many points; values in between are combined'),
  }),
  output: History,
  errors: [...failures.find],
  cli: { words: 'stats', section: 'Monitoring', args: ['vm?'], custom: true },
});
