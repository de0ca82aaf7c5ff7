// `alert.silence`: the alert is evaluated still, and delivered when the silence ends while it fires.
import type { HandlerOf } from '../handler.ts';
import { type OnAlert, onAlert, outputView } from './one.ts';

interface Silencing extends OnAlert {
  before: number | null;
  until: number | null;
}

export const handler: HandlerOf<'alert.silence'> = {
  ...onAlert,
  prepare: async ({ alert: name, durationMs }, { services: { alerts } }): Promise<Silencing> => ({
    name,
    before: alerts.get(name).silencedUntil,
    until: durationMs === 0 ? null : Date.now() + durationMs,
  }),
  steps: [
    {
      name: 'record the silence',
      run: async ({ name, until }: Silencing, { services: { alerts } }) => alerts.silence(name, until),
      undo: async ({ name, before }: Silencing, { services: { alerts } }) => alerts.silence(name, before),
    },
  ],
  output: outputView,
};
