// The host shuts down, or something else that ends all processes: the guests are asked to shut down, all at once. `desired` stays as it
// is, so that the same VMs start with the host as after a power failure.
import { guestsDeadlineMs } from '../../contract/ending.ts';
import type { GoingDown } from '../../host/system/shutdown.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { askGuest, endQemu } from './stop.ts';

/** Resolves when no VM runs. Never throws for one of them. */
export async function shutDownWith(
  what: GoingDown,
  services: Uses<'vms' | 'networks' | 'processes' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const alive = services.vms.list().filter(({ live }) => live !== null);
  await Promise.all(
    alive.map(async (vm) => {
      try {
        await shutDown(what, vm, services, signal);
      } catch (error) {
        services.log.error({ vm: vm.name, error }, `it could not be shut down with ${what}`);
      }
    }),
  );
}

async function shutDown(what: GoingDown, vm: Vm, services: Uses<'networks' | 'processes'>, signal: AbortSignal): Promise<void> {
  const ended = await askGuest(vm, guestsDeadlineMs, signal);
  const message = ended ? `${what} shut down` : `${what} shut down, and its guest did not within ${guestsDeadlineMs / 1000} s`;
  await endQemu(vm, services);
  await vm.update(() => ({ state: 'stopped', stateReason: { code: 'host_restarted', message, occurredAt: Date.now() } }));
  vm.report('vm.ended', message);
}
