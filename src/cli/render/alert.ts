// Alerts for reading: the table of `viv alert ls`, the sheet of `viv alert show`, and what a test delivered.
import type { Alert, AlertTest } from '../../contract/alert.ts';
import { formatDuration, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

const stateOf = ({ firing, pending, silencedUntil }: Alert): string => {
  const fires = firing.length > 0 ? `fires for ${firing.length}` : pending > 0 ? `pending for ${pending}` : 'quiet';
  return silencedUntil === null ? fires : `${fires}, silenced`;
};

export function alertTable(alerts: readonly Alert[], width: number | undefined): string[] {
  return renderTable(
    alerts,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'STATE', value: stateOf },
      { title: 'SEVERITY', value: ({ severity }) => severity },
      { title: 'RULE', value: ({ rule }) => rule },
      { title: 'VMS', value: ({ vms }) => vms.join(' ') || 'every' },
      { title: 'TO', value: ({ to }) => to.join(' ') },
    ],
    width,
    ({ deliveries }) => (deliveries.problem === null ? null : `delivery: ${deliveries.problem}`),
  );
}

export const alertSheet = (alert: Alert): string[] =>
  renderSheet([
    ['alert', alert.name],
    ['rule', alert.rule],
    ['VMs', alert.vms.join(' ') || 'every VM'],
    ['severity', alert.severity],
    ['to', alert.to],
    ['again every', formatDuration(alert.repeatMs)],
    ['state', stateOf(alert)],
    ['silenced until', alert.silencedUntil === null ? null : formatTime(alert.silencedUntil)],
    ['fires for', alert.firing.map(({ subject, since }) => `${subject.name ?? subject.id ?? ''} since ${formatTime(since)}`)],
    ['deliveries', `${alert.deliveries.delivered} delivered, ${alert.deliveries.queued} waiting, ${alert.deliveries.failed} failed`],
    ['problem', alert.deliveries.problem],
    ['created', formatTime(alert.createdAt)],
  ]);

export const alertTestLines = ({ deliveries }: AlertTest): string[] =>
  deliveries.map(
    ({ to, delivered, detail, durationMs }) => `${to}: ${delivered ? 'delivered' : 'FAILED'} in ${formatDuration(durationMs)}: ${detail}`,
  );
