// `alert.create`.
import { accessSync, constants } from 'node:fs';
import { parseDestination } from '../../contract/alert-destination.ts';
import { VivError } from '../../contract/errors.ts';
import { alertNameTaken } from '../../resource/alert/alerts.ts';
import type { AlertRecord } from '../../resource/alert/record.ts';
import type { HandlerOf } from '../handler.ts';
import { outputView, queueOfAlerts } from './one.ts';

interface Creating {
  name: string;
  record: AlertRecord;
}

export const handler: HandlerOf<'alert.create'> = {
  target: ({ name }: Creating) => name,
  queue: () => queueOfAlerts,
  prepare: async ({ alert: name, rule, vms, to, severity, repeatMs }, { services: { alerts } }): Promise<Creating> => {
    if (alerts.byName(name)) throw alertNameTaken(name);
    for (const text of to) checkCommand(text);
    return { name, record: { name, rule, vms, to: [...new Set(to)], severity, repeatMs, silencedUntil: null, createdAt: Date.now() } };
  },
  steps: [
    {
      name: 'record the alert',
      run: async ({ record }: Creating, { services: { alerts } }) => alerts.insert(record),
      undo: async ({ record }: Creating, { services: { alerts } }) => {
        if (alerts.byName(record.name)?.createdAt === record.createdAt) await alerts.remove(record.name);
      },
    },
  ],
  output: outputView,
};

/** @throws invalid */
function checkCommand(text: string): void {
  const destination = parseDestination(text);
  if (destination.kind !== 'command') return;
  try {
    accessSync(destination.path, constants.X_OK);
  } catch (cause) {
    throw new VivError('invalid', `${destination.path} cannot be run by the daemon: it is not there, or not executable`, { cause });
  }
}
