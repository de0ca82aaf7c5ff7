// Lends CPU above a limit to VMs that allow it while the host is idle, and reclaims it as soon as others need it. Pure.
import type { Decision, GovernorState, ObservedHost, ObservedVm, Trend } from './model.ts';
import { changed, mayChange } from './model.ts';

/** CPU is lent when this part of the host has been idle for some steps in a row ... */
const idleShare = 0.3;
const idleSteps = 3;
/** ... and reclaimed when less than this is. */
const busyShare = 0.1;
/** Its limit stops it in this part of the periods. */
const throttledShare = 0.05;
/** Of what is idle, this part is lent; the rest lets others start at once. */
const lentShare = 0.5;

export interface CpuStep {
  readonly decisions: Decision[];
  readonly trends: Map<string, Trend>;
  readonly lent: Map<string, number>;
  readonly idleSteps: number;
}

export function decideCpu(host: ObservedHost, vms: readonly ObservedVm[], state: GovernorState, nowMs: number): CpuStep {
  const limited = vms.filter(({ cpu }) => cpu.limit !== null);
  const ids = new Set(limited.map(({ id }) => id));
  const trends = new Map([...state.cpu].filter(([id]) => ids.has(id)));
  const lent = new Map([...state.lent].filter(([id]) => ids.has(id)));
  const decisions: Decision[] = [];
  const idleFor = host.idle >= idleShare ? state.idleSteps + 1 : 0;
  const numbers = (vm: ObservedVm) => ({ hostIdle: host.idle, used: vm.cpu.used, throttled: vm.cpu.throttled, limit: vm.cpu.limit ?? 0 });

  for (const vm of limited) {
    const limit = vm.cpu.limit ?? 0;
    const from = lent.get(vm.id);
    if (from === undefined || (vm.cpu.lending && host.idle >= busyShare && from > limit)) continue;
    // Taking back what was lent always takes effect: it is the limit that was asked for.
    lent.delete(vm.id);
    trends.set(vm.id, changed(trends.get(vm.id), false, nowMs));
    decisions.push({ kind: 'cpu', vm: vm.id, from, to: limit, reason: 'host is busy', numbers: numbers(vm) });
  }
  if (idleFor >= idleSteps) {
    const wanting = limited.filter((vm) => vm.cpu.lending && vm.cpu.throttled > throttledShare && mayLend(trends.get(vm.id), nowMs));
    const part = (host.idle * host.cpus * lentShare) / Math.max(1, wanting.length);
    for (const vm of wanting) {
      const from = lent.get(vm.id) ?? vm.cpu.limit ?? 0;
      const to = Math.min(vm.cpu.vcpus, Math.round((from + part) * 100) / 100);
      if (to - from < 0.05) continue;
      lent.set(vm.id, to);
      trends.set(vm.id, changed(trends.get(vm.id), true, nowMs));
      decisions.push({ kind: 'cpu', vm: vm.id, from, to, reason: 'host is idle', numbers: numbers(vm) });
    }
  }
  return { decisions, trends, lent, idleSteps: idleFor };
}

/** Taking back is never put off, so lending is: each time for as long as two reversals may be apart. */
const mayLend = (trend: Trend | undefined, nowMs: number): boolean =>
  mayChange(trend, true, nowMs) && (trend === undefined || trend.up || nowMs - trend.changedAtMs >= 60_000);
