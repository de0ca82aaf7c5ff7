// The audit log: every change and every refusal, append-only and hash-chained.
import { z } from 'zod';
import { Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';

/** Who asks: kept with tasks, and in audit records. */
export const Actor = z.object({
  /** Id of the user; null: a local account without one, the daemon, or not known. */
  user: z.string().nullable(),
  name: z.string(),
  via: z.enum(['socket', 'session', 'token', 'daemon', 'none']),
  session: z.string().nullable(),
  token: z.string().nullable(),
  /** Network address, or `uid N` on the host's socket. */
  from: z.string().nullable(),
});
export type Actor = z.infer<typeof Actor>;

/** What a request acts on, with its name at that time. */
export const AuditObject = z.object({ kind: z.string(), id: z.string(), name: z.string().nullable() });
export type AuditObject = z.infer<typeof AuditObject>;

export const AuditRecord = z.object({
  /** Grows by one; a gap shows that a record was removed. */
  sequence: z.int(),
  at: Time,
  actor: Actor,
  operation: z.string(),
  objects: z.array(AuditObject),
  /** begun: a task was accepted; its end follows as a record of its own. */
  outcome: z.enum(['begun', 'done', 'failed', 'cancelled', 'refused']),
  /** Error code and message of a failure or refusal. */
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  task: z.string().nullable(),
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
  method: 'POST',
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
    valid: z.boolean(),
    /** Why not, naming the first wrong record. */
    problem: z.string().nullable(),
    first: z.int(),
    last: z.int(),
    records: z.int(),
    anchors: z.int(),
    durationMs: z.number(),
  }),
  errors: ['timeout'],
  cli: { words: 'audit verify', section: 'Access', custom: true },
});
