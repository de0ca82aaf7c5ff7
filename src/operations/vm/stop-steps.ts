// The steps that stop a VM; `stop`, `restart` and `remove --force` are made of them.

import { reconcile } from '../../vm/lifecycle/reconcile-record.ts';
import { askGuest, desireStopped, endNow } from '../../vm/lifecycle/stop.ts';
import type { Step, TaskContext } from '../handler.ts';
import type { OnVm } from './one.ts';

export interface Stopping extends OnVm {
  force: boolean;
  timeoutMs: number;
}

/** The guest may have shut down although the task failed or was cancelled: what is there decides. */
const undo = async ({ id }: OnVm, { services }: TaskContext): Promise<void> => {
  const vm = services.vms.byId(id);
  if (vm) await reconcile(vm, services);
};

export const stopSteps: readonly Step<Stopping>[] = [
  {
    name: 'ask the guest to shut down',
    run: async ({ id, force, timeoutMs }, { services, signal, progress, log }) => {
      const vm = services.vms.get(id);
      await desireStopped(vm);
      if (force || vm.record.state === 'suspended' || vm.record.state === 'broken') return;
      progress({ message: `waiting for ${vm.name} to shut down` });
      if (!(await askGuest(vm, timeoutMs, signal)) && !signal.aborted)
        log(`the guest did not shut down within ${Math.round(timeoutMs / 1000)} s; its process is ended`);
      signal.throwIfAborted();
    },
    undo,
    remains: ({ name, force }) => (force ? null : `the guest of ${name} has been asked to shut down, and may still do so`),
  },
  {
    name: 'end QEMU',
    run: async ({ id }, { services }) => {
      const vm = services.vms.get(id);
      const was = vm.record.state;
      await endNow(vm, services);
      if (was !== 'stopped') services.events.record({ type: 'vm.stopped', subject: id, name: vm.name, message: `${vm.name} was stopped` });
    },
    undo,
  },
];
