// `metrics.show`: GET /metrics.
import { Readable } from 'node:stream';
import { metricsContentType } from '../../contract/metrics.ts';
import { metricsOf } from '../../resource/metric/metrics.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'metrics.show'> = async (_input, { services }) => {
  const { version, startedAt, alerts, monitor } = services;
  const bytes = metricsOf(monitor.latest, { version, startedAt, firing: alerts.firing() });
  return { stream: Readable.from([bytes], { objectMode: false }), contentType: metricsContentType };
};
