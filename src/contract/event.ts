// Events: what happened, in order, kept across restarts of the daemon.
import { z } from 'zod';
import { Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const Event = z.object({
  sequence: z.int().describe('Grows by one with each event; as after it continues from there'),
  occurredAt: Time.describe('Time of the event'),
  type: z.string().describe('Kind of event as noun.past-participle, such as vm.started or task.failed'),
  subject: z.string().nullable().describe('Id of what it is about'),
  name: z.string().nullable().describe('Name of what it is about, at that time'),
  message: z.string().describe('What happened, as a sentence'),
});
export type Event = z.infer<typeof Event>;

const EventType = z
  .string()
  .max(100)
  .regex(/^[a-z-]+(\.[a-z_-]+)?$/, 'a type of events is written like vm.started, or vm for all of a noun');

/** Whether an event is of a type, or of its noun. */
export const isOfType = (event: Pick<Event, 'type'>, type: string): boolean => event.type === type || event.type.startsWith(`${type}.`);

export const list = defineOperation({
  id: 'event.list',
  method: 'GET',
  path: '/v1/events',
  permission: 'event.read',
  summary: 'List the latest events',
  input: z.object({
    after: z.coerce.number().int().min(0).optional().describe('Only events after this sequence number'),
    limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Number of events'),
    type: EventType.optional().describe('Only events of this type, or of this noun, such as governor'),
  }),
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
  summary: 'Follow the events',
  input: z.object({
    after: z.coerce.number().int().min(0).optional().describe('Begin after this sequence number (default: only new events)'),
    type: EventType.optional().describe('Only events of this type, or of this noun'),
  }),
  output: Event,
  errors: [],
});
