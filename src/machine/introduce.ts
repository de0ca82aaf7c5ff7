// What a guest is told before it is asked anything: that it has slept, or that it is not the machine it was forked from.
import { randomBytes } from 'node:crypto';
import type { AgentConnection } from '../qemu/agent/channel.ts';
import type { Machine } from './runner.ts';
import { hostnameOf } from './spec.ts';
import { makeHostKeys } from './ssh-keys.ts';

/** As much as the kernel's generator holds (random(4)). */
const seedBytes = 32;

/**
 * Repeatable. Does nothing for a machine that was booted, since it has found out for itself who it is and how late it is.
 * A guest that can do a part of it only is in use with that; what it left out is told as an event.
 */
export async function introduce(machine: Machine, agent: AgentConnection): Promise<void> {
  const { newcomer, asleep } = machine.record;
  if (newcomer === null && !asleep) return;
  const { skipped } = await agent.identity({
    timeMs: Date.now(),
    seed: randomBytes(seedBytes),
    ...(newcomer === null
      ? {}
      : {
          hostname: hostnameOf(machine.record),
          machineId: machine.record.uuid.replaceAll('-', ''),
          macs: newcomer.macs,
          sshKeys: await makeHostKeys(hostnameOf(machine.record)),
        }),
  });
  await machine.update(() => ({ newcomer: null, asleep: false }));
  if (newcomer !== null && skipped.length > 0)
    machine.tell({
      type: 'event',
      machine,
      what: 'problem',
      message: `its guest could not be given an own ${skipped.join(', ')}; it has that of ${machine.record.forkedFrom}`,
    });
}
