// The steps that stop a VM; `stop`, `restart` and `remove --force` are made of them.

import type { Stopped } from '../../contract/vm.ts';
import type { Vm } from '../../contract/vm-state.ts';
import { reconcile } from '../../vm/lifecycle/reconcile-record.ts';
import { askGuest, desireStopped, endNow } from '../../vm/lifecycle/stop.ts';
import type { Step, TaskContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { type OnVm, outputView } from './one.ts';

export interface Stopping extends OnVm {
  force: boolean;
  timeoutMs: number;
  /** Why its process is ended by force; null: it is not. */
  forced?: string | null;
}

/** The guest may have shut down although the task failed or was cancelled: what is there decides. */
const undo = async ({ id }: OnVm, { services }: TaskContext): Promise<void> => {
  const vm = services.vms.byId(id);
  if (vm) await reconcile(vm, services);
};

/** What a finished stop or restart answers. @param last what was shown of a VM that was removed when it stopped */
export async function stoppedView(state: Stopping, services: Services, last?: Vm): Promise<Stopped> {
  return { ...(last ?? (await outputView(state, services))), forced: state.forced ?? null };
}

export const stopSteps: readonly Step<Stopping>[] = [
  {
    name: 'ask the guest to shut down',
    run: async ({ id, force, timeoutMs }, { services, signal, progress, log }) => {
      const vm = services.vms.get(id);
      await desireStopped(vm);
      if (vm.live === null) return { forced: null };
      if (force) return { forced: 'it was stopped by force' };
      progress({ message: `waiting for ${vm.name} to shut down` });
      const ended = await askGuest(vm, timeoutMs, signal);
      signal.throwIfAborted();
      if (ended) return { forced: null };
      const forced = `its guest did not shut down within ${Math.round(timeoutMs / 1000)} s, so its process was ended`;
      log(forced);
      return { forced };
    },
    undo,
    remains: ({ name, force }) => (force ? null : `the guest of ${name} has been asked to shut down, and may still do so`),
  },
  {
    name: 'end QEMU',
    run: async ({ id, forced = null }, { services }) => {
      const vm = services.vms.get(id);
      const was = vm.record.state;
      await endNow(vm, services, forced === null ? null : { code: 'stopped_by_force', message: forced });
      if (was === 'stopped') return;
      const message = `${vm.name} was stopped${forced === null ? '' : `: ${forced}`}`;
      services.events.record({ type: 'vm.stopped', subject: id, name: vm.name, message });
    },
    undo,
  },
];
