// The audit log: every change and every refusal, append-only and hash-chained.
import { z } from 'zod';
import { CollectorText } from './audit-collector.ts';
import { Name, Text, Time } from './field.ts';
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

const collector = Name.describe('Name of the collector');

/** A place that the audit log is forwarded to, and how far it has come. */
export const AuditForward = z.object({
  name: Name.describe('Name of the collector'),
  kind: z.enum(['syslog', 'hec']).describe('syslog (RFC 5424), or an HTTP collector in the form of Splunk HEC'),
  url: z.string().describe('Where it is'),
  position: z.int().describe('Number of the last record that it has'),
  behind: z.int().describe('Records that wait to be delivered'),
  lost: z.int().describe('Records that were dropped before it could be reached, because of their age or number'),
  deliveredAt: Time.nullable().describe('Time of the last delivery'),
  problem: z.string().nullable().describe('Why the last attempt failed; null: it did not'),
});

export type AuditForward = z.infer<typeof AuditForward>;

export const forwardList = defineOperation({
  id: 'audit.forward-list',
  method: 'GET',
  path: '/v1/audit/forwards',
  permission: 'audit.read',
  summary: 'List where the audit log is forwarded to',
  input: z.object({}),
  output: z.array(AuditForward),
  errors: [],
  cli: { words: 'audit forward ls', section: 'Access', prints: 'audit-forward-table' },
});

export const forwardAdd = defineOperation({
  id: 'audit.forward-add',
  method: 'POST',
  path: '/v1/audit/forwards',
  permission: 'audit.manage',
  summary: 'Forward the audit log to a syslog server or an HTTP collector, from its first record that is kept',
  input: z.object({
    collector,
    url: CollectorText.describe(
      'syslog://HOST:PORT, syslogs://HOST:PORT (TLS), unix:/PATH (a stream socket), or the https URL of a collector in HEC form',
    ),
    token: Text.min(1).max(1000).optional().describe('Token of an HTTP collector'),
    ca: Text.max(100_000)
      .optional()
      .describe('Certificate authority (PEM) that signed the collector’s certificate (default: the system’s)'),
    onlyNew: z.boolean().default(false).describe('Forward only what is recorded from now on'),
  }),
  output: AuditForward,
  errors: ['name_taken', 'in_use'],
  cli: { words: 'audit forward add', section: 'Access', args: ['collector', 'url'], custom: true },
});

export const forwardRemove = defineOperation({
  id: 'audit.forward-remove',
  method: 'DELETE',
  path: '/v1/audit/forwards/{collector}',
  permission: 'audit.manage',
  worksWhenDiskFull: true,
  summary: 'End forwarding the audit log to a collector',
  input: z.object({ collector }),
  output: z.object({ name: Name.describe('Name it had') }),
  errors: ['not_found'],
  cli: { words: 'audit forward rm', section: 'Access', args: ['collector...'] },
});

const Retention = z.object({
  days: z.number().describe('Days that a record is kept'),
  first: z.int().describe('Number of the first record that is kept'),
  last: z.int().describe('Number of the last record'),
});

export const retentionShow = defineOperation({
  id: 'audit.retention-show',
  method: 'GET',
  path: '/v1/audit/retention',
  permission: 'audit.read',
  summary: 'Show how long audit records are kept',
  input: z.object({}),
  output: Retention,
  errors: [],
});

export const retentionSet = defineOperation({
  id: 'audit.retention-set',
  method: 'PUT',
  path: '/v1/audit/retention',
  permission: 'audit.manage',
  worksWhenDiskFull: true,
  risk: 'loss',
  summary: 'Set how long audit records are kept; without a number, show it',
  input: z.object({ days: z.int().min(1).max(3650).describe('Days that a record is kept') }),
  output: Retention,
  errors: [],
  cli: {
    words: 'audit retention',
    section: 'Access',
    args: ['days'],
    custom: true,
    confirm: 'Keep audit records for {days} days only? Older ones are removed.',
  },
});
