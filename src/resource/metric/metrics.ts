// GET /metrics: what the monitor saw last, in Prometheus' text format. Metric and label names follow Prometheus' naming rules: the unit in
// the name, base units, `_total` for counters.
import type { Look } from '../measure/monitor.ts';
import { Exposition, type Family, labels } from './exposition.ts';
import { addHost } from './host-metrics.ts';
import { addVms } from './vm-metrics.ts';

const build: Family = { name: 'vivarium_build_info', type: 'gauge', help: 'The version of the daemon; always 1' };
const started: Family = { name: 'vivarium_start_time_seconds', type: 'gauge', help: 'When the daemon was started, in seconds since 1970' };
const alerts: Family = { name: 'vivarium_alerts_firing', type: 'gauge', help: 'Alerts that fire, by the severity of their rule' };

export interface DaemonFacts {
  readonly version: string;
  /** Ms since 1970. */
  readonly startedAt: number;
  readonly firing: Readonly<Record<string, number>>;
}

export function metricsOf({ host, vms }: Pick<Look, 'host' | 'vms'>, daemon: DaemonFacts): Buffer {
  const exposition = new Exposition();
  exposition.family(build, (add) => add(1, labels({ version: daemon.version })));
  exposition.family(started, (add) => add(daemon.startedAt / 1000));
  exposition.family(alerts, (add) => {
    for (const [severity, count] of Object.entries(daemon.firing)) add(count, labels({ severity }));
  });
  addHost(exposition, host.counters);
  addVms(exposition, vms);
  return exposition.bytes();
}
