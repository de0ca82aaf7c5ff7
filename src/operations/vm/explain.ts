// `vm.explain`: what holds for a VM, what the governor sees of it, and what it decided.

import { holdsOf } from '../../vm/resource/holds.ts';
import type { HandlerOf } from '../handler.ts';

/** The log is read back this far for decisions. */
const eventsRead = 10_000;

export const handler: HandlerOf<'vm.explain'> = async ({ vm: vmRef, limit }, { services }) => {
  const vm = services.vms.findAny(vmRef);
  const { enforcer, governor } = services.resources;
  await enforcer.settled(vm.id);
  const seen = vm.live === null ? null : governor().observed(vm.id);
  const events = await services.events.list({ limit: eventsRead });
  return {
    id: vm.id,
    name: vm.name,
    holds: holdsOf(vm.record, enforcer.use(vm.id), enforcer.entitlement(vm.id)),
    observed: seen && {
      cpuUsed: seen.cpu.used,
      cpuThrottled: seen.cpu.throttled,
      memoryBytes: seen.memory.currentBytes,
      guestAvailableBytes: seen.memory.guest?.availableBytes ?? null,
      guestMemoryPressure: seen.memory.pressure,
      idleMs: Math.round(seen.idleMs),
    },
    decisions: events.filter(({ type, subject }) => type.startsWith('governor.') && subject === vm.id).slice(-limit),
  };
};
