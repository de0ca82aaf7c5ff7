// The steps that stop a machine; `stop`, `restart` and `remove --force` are made of them.

import type { Step, TaskContext } from '../../task/handler.ts';
import { reconcile } from '../../vm/lifecycle/reconcile-record.ts';
import { askGuest, endNow, wantStopped } from '../../vm/lifecycle/stop.ts';
import type { OnMachine } from './one.ts';

export interface Stopping extends OnMachine {
  force: boolean;
  timeoutMs: number;
}

/** The guest may have shut down although the task failed or was cancelled: what is there decides. */
const undo = async ({ id }: OnMachine, { services }: TaskContext): Promise<void> => {
  const machine = services.machines.byId(id);
  if (machine) await reconcile(machine, services.machines);
};

export const stopSteps: readonly Step<Stopping>[] = [
  {
    name: 'ask the guest',
    run: async ({ id, force, timeoutMs }, { services, signal, progress, log }) => {
      const machine = services.machines.get(id);
      await wantStopped(machine);
      if (force || machine.record.state === 'suspended' || machine.record.state === 'broken') return;
      progress({ message: `waiting for ${machine.name} to shut down` });
      if (!(await askGuest(machine, timeoutMs, signal)) && !signal.aborted)
        log(`the guest did not shut down within ${Math.round(timeoutMs / 1000)} s; its process is ended`);
      signal.throwIfAborted();
    },
    undo,
    remains: ({ name, force }) => (force ? null : `the guest of ${name} has been asked to shut down, and may still do so`),
  },
  {
    name: 'end QEMU',
    run: async ({ id }, { services }) => {
      const machine = services.machines.get(id);
      const was = machine.record.state;
      await endNow(machine, services.machines);
      if (was !== 'stopped')
        services.events.record({ type: 'vm.stopped', subject: id, name: machine.name, message: `${machine.name} was stopped` });
    },
    undo,
  },
];
