// The audit log: every change and every refusal, append-only and hash-chained.
import { z } from 'zod';
import { Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';

/** Who asks: kept with tasks, and in audit records. */
export const Actor = z.object({
  user: z.string().nullable().describe('Id of the user; null: a local account without one, the daemon, or not known'),
  name: z.string().describe('Name at that time'),
  via: z.enum(['socket', 'session', 'token', 'daemon', 'none']).describe('How the caller was known'),
  session: z.string().nullable().describe('Id of the session'),
  token: z.string().nullable().describe('Id of the token'),
  from: z.string().nullable().describe('Network address, or uid N on the host’s socket'),
});

export type Actor = z.infer<typeof Actor>;

/** What a request acts on, with its name at that time. */
export const AuditObject = z.object({
  kind: z.string().describe('Kind of object, such as vm'),
  id: z.string().describe('Id of the object'),
  name: z.string().nullable().describe('Name at that time'),
});

export type AuditObject = z.infer<typeof AuditObject>;

export const AuditRecord = z.object({
  sequence: z.int().describe('Number of the record; grows by one, so that a gap shows a removed record'),
  at: Time.describe('Time of the record'),
  actor: Actor.describe('Who'),
  operation: z.string().describe('What, such as vm.start'),
  objects: z.array(AuditObject).describe('What it acted on'),
  outcome: z
    .enum(['begun', 'done', 'failed', 'cancelled', 'refused'])
    .describe('How it ended; begun: a task was accepted, and its end follows as a record of its own'),
  error: z
    .object({ code: z.string().describe('Error code'), message: z.string().describe('Error message') })
    .nullable()
    .describe('Why it failed or was refused'),
  task: z.string().nullable().describe('Id of the task'),
});

export type AuditRecord = z.infer<typeof AuditRecord>;

const filters = {
  user: Text.max(80).optional().describe('Only what this user did'),
  object: Text.max(160).optional().describe('Only what concerns this object, by id or by name at that time'),
};

export const list = defineOperation({
  id: 'audit.list',
  method: 'GET',
  path: '/v1/audit',
  permission: 'audit.read',
  summary: 'List audit records, oldest first',
  input: z.object({
    ...filters,
    since: z.coerce.number().int().min(0).optional().describe('Only records from this time on, ms since 1970'),
    after: z.coerce.number().int().min(0).optional().describe('Only records after this sequence number'),
    limit: z.coerce.number().int().min(1).max(10_000).default(100).describe('Most records; the latest are shown'),
  }),
  output: z.array(AuditRecord),
  errors: [],
  cli: { words: 'audit', section: 'Access', custom: true },
});

export const follow = defineOperation({
  id: 'audit.follow',
  method: 'GET',
  path: '/v1/audit/follow',
  permission: 'audit.read',
  transport: 'events',
  summary: 'Follow the audit log',
  input: z.object({ ...filters, after: z.coerce.number().int().min(0).optional().describe('Begin after this sequence number') }),
  output: AuditRecord,
  errors: [],
});

export const verify = defineOperation({
  id: 'audit.verify',
  method: 'GET',
  path: '/v1/audit/verify',
  permission: 'audit.read',
  summary: 'Verify the audit log’s chain, its keyed head and its anchors',
  input: z.object({
    anchor: z
      .array(z.string().regex(/^\d{1,15}:[0-9a-f]{64}$/, 'an anchor is written SEQUENCE:HASH'))
      .max(1000)
      .default([])
      .describe('Anchor kept elsewhere, as SEQUENCE:HASH (repeatable)'),
  }),
  output: z.object({
    valid: z.boolean().describe('Whether the log is as it was written'),
    problem: z.string().nullable().describe('Why not, naming the first wrong record'),
    first: z.int().describe('Number of the first record'),
    last: z.int().describe('Number of the last record'),
    records: z.int().describe('Number of records that were verified'),
    anchors: z.int().describe('Number of anchors that were compared'),
    durationMs: z.number().describe('How long it took'),
  }),
  errors: ['timeout'],
  cli: { words: 'audit verify', section: 'Access', custom: true },
});
