// Alerts: rules on what is measured and on events, and where it is delivered when one fires.
import { z } from 'zod';
import { DestinationText } from './alert-destination.ts';
import { AlertRuleText } from './alert-rule.ts';
import { Name, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const Severity = z.enum(['info', 'warning', 'critical']);
export type Severity = z.infer<typeof Severity>;

const Subject = z.object({
  kind: z.enum(['vm', 'host', 'other']).describe('What it is about'),
  id: z.string().nullable().describe('Id of the VM; null: it has none'),
  name: z.string().nullable().describe('Its name; null: it has none'),
});

const Firing = z.object({
  subject: Subject.describe('What it fires for'),
  since: Time.describe('When the value went beyond the threshold'),
  value: z.number().nullable().describe('What was measured last; null: it is not measured now'),
});

export const Alert = z.object({
  name: Name.describe('Name of the alert'),
  rule: z.string().describe('When it fires'),
  vms: z.array(z.string()).describe('Names of VMs, * for any characters; empty: every VM'),
  severity: Severity.describe('How bad it is'),
  to: z.array(z.string()).describe('Where it is delivered; of a webhook its host only'),
  repeatMs: z.int().describe('How often it is delivered again while it fires'),
  createdAt: Time.describe('When it was created'),
  silencedUntil: Time.nullable().describe('Nothing is delivered until then; null: it is not silenced'),
  firing: z.array(Firing).describe('What it fires for'),
  pending: z.int().describe('VMs for which the rule holds, but not for long enough yet'),
  deliveries: z
    .object({
      queued: z.int().describe('Waiting for delivery, or for another attempt'),
      delivered: z.int().describe('Delivered since the daemon was started'),
      failed: z.int().describe('Abandoned since the daemon was started'),
      problem: z.string().nullable().describe('Why the last attempt failed; null: it did not'),
    })
    .describe('Its deliveries'),
});
export type Alert = z.infer<typeof Alert>;

/** What a webhook gets as its body and a command as its standard input. */
export const Notification = z.object({
  id: z.string().describe('The same for every attempt, so that a receiver can leave out what it has seen'),
  status: z.enum(['firing', 'resolved', 'event', 'test']).describe('What is reported'),
  alert: z.string().describe('Name of the alert'),
  severity: Severity.describe('How bad it is'),
  rule: z.string().describe('When it fires'),
  subject: Subject.describe('What it is about'),
  value: z.number().nullable().describe('What was measured; null: it is about an event, or not measured'),
  threshold: z.number().nullable().describe('Of the rule; null: it is about an event'),
  since: Time.describe('When the value went beyond the threshold, or the event was recorded'),
  at: Time.describe('When this was written'),
  hostname: z.string().describe('Host that reports it'),
  event: z.string().nullable().describe('Type of the event; null: it is about something measured'),
  suppressed: z.int().describe('Events of this kind since the last delivery that were not delivered'),
  text: z.string().describe('One sentence; chat services show this field'),
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
  name: Name.describe('Name of the alert'),
  deliveries: z.array(
    z.object({
      to: z.string().describe('Destination; of a webhook its host only'),
      delivered: z.boolean().describe('Whether it was taken'),
      detail: z.string().describe('What the receiver answered, or why it failed'),
      durationMs: z.int().describe('How long it took'),
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
