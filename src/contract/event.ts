// Events: what happened, in order, kept across restarts of the daemon.
import { z } from 'zod';
import { Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const Event = z.object({
  /** Grows by one; give the last one seen as `after` to go on from there. */
  sequence: z.int(),
  occurredAt: Time,
  /** noun.what: `vm.started`, `vm.stopped`, `task.failed`, `host.disk_full`, `daemon.started`. */
  type: z.string(),
  /** Id of what it is about. */
  subject: z.string().nullable(),
  /** Its name at that time. */
  name: z.string().nullable(),
  message: z.string(),
});
export type Event = z.infer<typeof Event>;

export const list = defineOperation({
  id: 'event.list',
  method: 'GET',
  path: '/v1/events',
  permission: 'event.read',
  summary: 'List what happened lately',
  input: z.object({ after: z.coerce.number().int().min(0).optional(), limit: z.coerce.number().int().min(1).max(1000).default(100) }),
  output: z.array(Event),
  errors: [],
  cli: { words: 'events', section: 'Tasks and events', custom: true },
});

export const follow = defineOperation({
  id: 'event.follow',
  method: 'GET',
  path: '/v1/events/follow',
  permission: 'event.read',
  transport: 'events',
  summary: 'Follow what happens',
  input: z.object({
    after: z.coerce.number().int().min(0).optional().describe('Begin after this sequence number; only new ones by default'),
  }),
  output: Event,
  errors: [],
});
