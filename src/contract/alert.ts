// Alerts: rules on what is measured and on events, and where it is delivered when one fires.
import { z } from 'zod';
import { DestinationText } from './alert-destination.ts';
import { AlertRuleText } from './alert-rule.ts';
import { Name, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const Severity = z.enum(['info', 'warning', 'critical']);
export type Severity = z.infer<typeof Severity>;

/** What an alert is about. */
const Subject = z.object({ kind: z.enum(['vm', 'host', 'other']), id: z.string().nullable(), name: z.string().nullable() });

const Firing = z.object({
  subject: Subject,
  since: Time,
  /** What was measured last; null where it is about an event, or not measured now. */
  value: z.number().nullable(),
});

export const Alert = z.object({
  name: Name,
  rule: z.string(),
  /** Names of VMs, `*` for any characters; empty: every VM. */
  vms: z.array(z.string()),
  severity: Severity,
  /** Where it is delivered; of a webhook its host only. */
  to: z.array(z.string()),
  repeatMs: z.int(),
  createdAt: Time,
  /** Not delivered until then; null: it is. */
  silencedUntil: Time.nullable(),
  firing: z.array(Firing),
  /** VMs for which the rule holds, but not for long enough yet. */
  pending: z.int(),
  deliveries: z.object({
    /** Waiting for delivery, or for another attempt. */
    queued: z.int(),
    delivered: z.int(),
    /** Deliveries that failed for good, since the daemon was started. */
    failed: z.int(),
    /** Why the last attempt failed; null: it did not. */
    problem: z.string().nullable(),
  }),
});
export type Alert = z.infer<typeof Alert>;

/** What a webhook gets as its body and a command as its standard input. */
export const Notification = z.object({
  /** The same for every attempt: what has been seen can be left out. */
  id: z.string(),
  status: z.enum(['firing', 'resolved', 'event', 'test']),
  alert: z.string(),
  severity: Severity,
  rule: z.string(),
  subject: Subject,
  value: z.number().nullable(),
  threshold: z.number().nullable(),
  since: Time,
  at: Time,
  /** Of the host that says so. */
  hostname: z.string(),
  /** Type of the event; null where it is about something measured. */
  event: z.string().nullable(),
  /** Events of this kind that were not delivered by themselves, because the last one was too short a time ago. */
  suppressed: z.int(),
  /** One sentence; chat services show this field. */
  text: z.string(),
});
export type Notification = z.infer<typeof Notification>;

const alert = Name.describe('Name of the alert');
const One = z.object({ alert });
const hour = 3_600_000;

export const create = defineOperation({
  id: 'alert.create',
  method: 'POST',
  path: '/v1/alerts',
  permission: 'alert.create',
  task: true,
  summary: 'Create an alert',
  input: z.object({
    alert,
    rule: AlertRuleText.describe('When it fires, such as "cpuPercent > 90 for 5m" or "event vm.ended"'),
    vms: z
      .array(
        z
          .string()
          .max(64)
          .regex(/^[a-z0-9*-]+$/, 'the name of a VM is made of a-z, 0-9 and -; * stands for any characters'),
      )
      .max(100)
      .default([])
      .describe('VMs it is about, * for any characters (default: every VM)'),
    to: z
      .array(DestinationText)
      .min(1)
      .max(10)
      .default(['log'])
      .describe('Where it is delivered: log, the URL of a webhook, or command:PATH; repeatable'),
    severity: Severity.default('warning').describe('How bad it is'),
    repeatMs: z
      .int()
      .min(60_000)
      .max(30 * 24 * hour)
      .default(4 * hour)
      .describe('How often it is delivered again while it fires, and how rarely for events'),
  }),
  output: Alert,
  errors: ['name_taken'],
  cli: { words: 'alert create', section: 'Monitoring', args: ['alert', 'rule+'] },
});

export const list = defineOperation({
  id: 'alert.list',
  method: 'GET',
  path: '/v1/alerts',
  permission: 'alert.read',
  summary: 'List the alerts',
  input: z.object({}),
  output: z.array(Alert),
  errors: [],
  cli: { words: 'alert ls', section: 'Monitoring', prints: 'alert-table' },
});

export const show = defineOperation({
  id: 'alert.show',
  method: 'GET',
  path: '/v1/alerts/{alert}',
  permission: 'alert.read',
  summary: 'Show one alert and what it fires for',
  input: One,
  output: Alert,
  errors: ['not_found'],
  cli: { words: 'alert show', section: 'Monitoring', prints: 'alert-sheet', args: ['alert'] },
});

export const silence = defineOperation({
  id: 'alert.silence',
  method: 'POST',
  path: '/v1/alerts/{alert}/silence',
  permission: 'alert.silence',
  task: true,
  summary: 'Deliver nothing of an alert for a while',
  input: One.extend({
    durationMs: z
      .int()
      .min(0)
      .max(365 * 24 * hour)
      .default(hour)
      .describe('How long; 0 ends a silence'),
  }),
  output: Alert,
  errors: ['not_found'],
  cli: { words: 'alert silence', section: 'Monitoring', args: ['alert'], flags: { durationMs: 'for' } },
});

export const remove = defineOperation({
  id: 'alert.remove',
  method: 'DELETE',
  path: '/v1/alerts/{alert}',
  permission: 'alert.remove',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Remove an alert and what waits for its delivery',
  input: One,
  output: z.object({ name: Name }),
  errors: ['not_found'],
  cli: { words: 'alert rm', section: 'Monitoring', args: ['alert...'] },
});

export const AlertTest = z.object({
  name: Name,
  deliveries: z.array(
    z.object({
      to: z.string(),
      delivered: z.boolean(),
      /** What the receiver answered, or why it failed. */
      detail: z.string(),
      durationMs: z.int(),
    }),
  ),
});
export type AlertTest = z.infer<typeof AlertTest>;

export const test = defineOperation({
  id: 'alert.test',
  method: 'POST',
  path: '/v1/alerts/{alert}/test',
  permission: 'alert.test',
  worksWhenDiskFull: true,
  summary: 'Deliver a test notification to every destination of an alert, once',
  input: One,
  output: AlertTest,
  errors: ['not_found'],
  cli: { words: 'alert test', section: 'Monitoring', args: ['alert'], custom: true },
});
