// `alert.remove`.
import type { HandlerOf } from '../handler.ts';
import { type OnAlert, onAlert } from './one.ts';

export const handler: HandlerOf<'alert.remove'> = {
  ...onAlert,
  prepare: async ({ alert }, { services: { alerts } }): Promise<OnAlert> => ({ name: alerts.get(alert).name }),
  steps: [
    {
      name: 'remove the alert and its deliveries',
      final: true,
      run: async ({ name }: OnAlert, { services: { alerts } }) => alerts.remove(name),
    },
  ],
  output: async ({ name }: OnAlert) => ({ name }),
};
