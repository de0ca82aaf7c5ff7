// What a guest is told before it is asked anything: that it has slept, or that it is not the machine it was forked from.
import type { AgentConnection } from '../qemu/agent/channel.ts';
import type { Machine } from './runner.ts';
import { hostnameOf } from './spec.ts';

/**
 * Repeatable. Does nothing for a machine that was booted, since it has found out for itself who it is and how late it is.
 * A guest that can do a part of it only is in use with that; what it left out is told as an event.
 */
export async function introduce(machine: Machine, agent: AgentConnection): Promise<void> {
  const { newcomer, asleep } = machine.record;
  if (newcomer === null && !asleep) return;
  const skipped: string[] = [];
  await agent.configure({ timeMs: Date.now(), ...(newcomer === null ? {} : { hostname: hostnameOf(machine.record) }) });
  await machine.update(() => ({ newcomer: null, asleep: false }));
  if (newcomer !== null && skipped.length > 0)
    machine.tell({
      type: 'event',
      machine,
      what: 'problem',
      message: `its guest could not be given an own ${skipped.join(', ')}; it has that of ${machine.record.forkedFrom}`,
    });
}
