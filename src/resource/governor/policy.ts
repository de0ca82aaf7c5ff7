// The governor's policy: from what is observed to what is done, with reasons. Pure: the same input gives the same decisions, and its cost
// grows linearly with the number of VMs (sorting aside).
//
// When the host's memory gets scarce it is reclaimed in this order: ready members of warm pools, page cache and memory that guests do not use,
// idle VMs down to their minimum, and at last VMs are suspended, the least weight first.
import { decideCpu } from './cpu.ts';
import { decideMemory, isTroubled } from './memory.ts';
import type { Decision, GovernorState, ObservedHost, ObservedVm } from './model.ts';

/** Steps in a row in which the host is in trouble before a VM is suspended: ballooning needs that long to take effect. */
const troubledSteps = 3;

export interface Step {
  readonly decisions: readonly Decision[];
  readonly state: GovernorState;
}

/** @param nowMs a clock that never goes back */
export function decideStep(host: ObservedHost, vms: readonly ObservedVm[], state: GovernorState, nowMs: number): Step {
  const troubled = isTroubled(host) ? state.troubledSteps + 1 : 0;
  const numbers = { hostAvailableBytes: host.availableBytes, hostReserveBytes: host.reserveBytes };
  const decisions: Decision[] = [];
  const lacking = host.reserveBytes - host.availableBytes;
  const fromPools = Math.min(host.warmPoolBytes, Math.max(0, lacking));
  if (fromPools > 0)
    decisions.push({
      kind: 'warm-pool',
      freeBytes: fromPools,
      reason: 'host is below its reserve',
      numbers: { ...numbers, warmPoolBytes: host.warmPoolBytes },
    });
  // What the pools give is there in a moment.
  const memory = decideMemory({ ...host, availableBytes: host.availableBytes + fromPools }, vms, state, nowMs);
  decisions.push(...memory.decisions);
  if (troubled >= troubledSteps && memory.missingBytes > 0 && memory.decisions.length === 0) {
    const [first] = vms
      .filter(({ suspendable }) => suspendable)
      .sort((one, other) => one.memory.weight - other.memory.weight || other.idleMs - one.idleMs || one.id.localeCompare(other.id));
    if (first)
      decisions.push({ kind: 'suspend', vm: first.id, reason: 'host is in trouble', numbers: { ...numbers, idleMs: first.idleMs } });
  }
  const cpu = decideCpu(host, vms, state, nowMs);
  decisions.push(...cpu.decisions);
  const suspends = decisions.some(({ kind }) => kind === 'suspend');
  return {
    decisions,
    state: { memory: memory.trends, cpu: cpu.trends, lent: cpu.lent, idleSteps: cpu.idleSteps, troubledSteps: suspends ? 0 : troubled },
  };
}
