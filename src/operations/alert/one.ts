// What the operations on one alert share.
import type { Alert } from '../../contract/alert.ts';
import type { Services } from '../services.ts';

export interface OnAlert {
  name: string;
}

/** Alerts are changed one at a time. */
export const queueOfAlerts = 'alerts';

export const onAlert = { target: ({ name }: OnAlert) => name, queue: () => queueOfAlerts };

export const outputView = async ({ name }: OnAlert, { alerts }: Services): Promise<Alert> => alerts.view(name);
