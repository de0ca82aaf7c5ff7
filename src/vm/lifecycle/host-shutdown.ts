// The host shuts down, or whatever else takes all processes with it: the machines' guests are asked to do so too, all at once. What each
// is meant to be stays, so that what comes back with the host is what would come back after a power failure.
import { guestsDeadlineMs } from '../../contract/ending.ts';
import type { GoingDown } from '../../host/shutting-down.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { askGuest, endQemu } from './stop.ts';

/** Never throws for one of them. Resolves when none runs any more. */
export async function shutDownWith(what: GoingDown, machines: Machines, signal: AbortSignal): Promise<void> {
  const alive = machines.list().filter(({ live }) => live !== null);
  await Promise.all(
    alive.map(async (machine) => {
      try {
        await shutDown(what, machine, machines, signal);
      } catch (error) {
        machines.host.log.error({ machine: machine.name, error }, `it could not be shut down with ${what}`);
      }
    }),
  );
}

async function shutDown(what: GoingDown, machine: Machine, machines: Machines, signal: AbortSignal): Promise<void> {
  const ended = await askGuest(machine, guestsDeadlineMs, signal);
  const message = ended ? `${what} shut down` : `${what} shut down, and its guest did not within ${guestsDeadlineMs / 1000} s`;
  await endQemu(machine, machines);
  await machine.update(() => ({ state: 'stopped', stateReason: { code: 'host_restarted', message, at: Date.now() } }));
  machine.tell({ type: 'event', machine, what: 'ended', message });
}
