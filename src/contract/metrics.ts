// Metrics in Prometheus' text format: the same figures as statistics, as counters and gauges.
import { z } from 'zod';
import { defineOperation } from './operation.ts';

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

export const show = defineOperation({
  id: 'metrics.show',
  method: 'GET',
  path: '/metrics',
  permission: 'metrics.read',
  transport: 'download',
  summary: 'Print the metrics of the host and its VMs in Prometheus text format',
  input: z.object({}),
  output: z.unknown(),
  errors: [],
  cli: { words: 'metrics', section: 'Monitoring', custom: true },
});
