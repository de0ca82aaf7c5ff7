// `vm.suspend`: saves a machine's memory to disk and ends its process.
import { VivError } from '../../contract/errors.ts';
import { freeSpace } from '../../storage/space.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { dropPoint, type Freezing, preparePoint } from '../../vm/capture/capture.ts';
import { decide } from '../../vm/decide.ts';
import { endSuspended, planSleep, save, unsave } from '../../vm/lifecycle/suspend.ts';
import { type OnMachine, onMachine, outputView } from './one.ts';

interface Suspending extends OnMachine {
  /** Set by the first step. */
  freezing?: Freezing | null;
}

export const handler: HandlerOf<'vm.suspend'> = {
  ...onMachine,
  prepare: async ({ vm }, { services }): Promise<Suspending> => {
    const machine = services.machines.find(vm);
    const { memoryBytes } = machine.record.started ?? machine.record.settings;
    const { freeBytes: free } = await freeSpace(services.paths.home);
    if (decide('suspend', machine.record) === 'accept' && free < memoryBytes) {
      throw new VivError(
        'no_space',
        `cannot suspend ${machine.name}: its memory of ${memoryBytes >> 20} MiB may not fit into the ${Math.floor(free / 2 ** 20)} MiB free in ${services.paths.home}; make room and try again`,
      );
    }
    return { id: machine.id, name: machine.name };
  },
  admit: async ({ id }, { machines }) => decide('suspend', machines.get(id).record),
  steps: [
    {
      name: 'plan it',
      run: async ({ id }: Suspending, { services: { machines } }) => ({ freezing: planSleep(machines.get(id), machines) }),
    },
    {
      name: 'make its files',
      run: async ({ id, freezing }: Suspending, { services: { machines } }) => {
        if (freezing) await preparePoint(machines.get(id), machines, freezing);
      },
      undo: async ({ id, freezing }: Suspending, { services: { machines } }) => {
        const machine = machines.byId(id);
        if (freezing && machine?.record.wakeFrom !== freezing.point.id) await dropPoint(machine, machines, freezing);
      },
    },
    {
      name: 'save its memory',
      run: ({ id, freezing = null }: Suspending, { services: { machines }, signal, progress }) =>
        save(machines.get(id), machines, freezing, signal, progress),
      undo: ({ id, freezing = null }: Suspending, { services: { machines } }) => unsave(machines.get(id), machines, freezing),
    },
    {
      name: 'end QEMU',
      run: async ({ id, freezing = null }: Suspending, { services }) => {
        const machine = services.machines.get(id);
        await endSuspended(machine, services.machines, freezing);
        services.events.record({ type: 'vm.suspended', subject: id, name: machine.name, message: `${machine.name} was suspended to disk` });
      },
    },
  ],
  output: outputView,
};
