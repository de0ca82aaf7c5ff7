// /metrics of 1,000 VMs, as Prometheus asks for it: over the socket, from the request to the last byte.
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { handler as showMetrics } from '../src/operations/metrics/show.ts';
import { toy } from '../test/api/toy.ts';
import { hostCounters, runningLook } from '../test/resource/looks.ts';
import { type Figure, median, repeat } from './measure.ts';

const vms = 1000;

export async function metrics(): Promise<Figure[]> {
  const looks = Array.from({ length: vms }, (_, index) => runningLook(`vm${index}`));
  const services = {
    ...{ version: 'bench', startedAt: 0, log: pino({ enabled: false }), alerts: { firing: () => ({}) } },
    monitor: { latest: { at: 0, host: { values: {}, counters: hostCounters }, vms: looks } },
  };
  await using api = await toy({ 'metrics.show': () => showMetrics({}, { services } as never) }, { checkResponses: false });
  const times = await repeat(40, async () => text(await api.client.metrics.show({})), 10);
  return [{ name: `/metrics of ${vms} VMs`, value: median(times), unit: 'ms', target: 50 }];
}
