// `vm.suspend`: saves a machine's memory to disk and ends its process.
import { VivError } from '../../contract/errors.ts';
import { decide } from '../../machine/decide.ts';
import { endSuspended, save, unsave } from '../../machine/suspend.ts';
import { freeSpace } from '../../storage/space.ts';
import type { HandlerOf } from '../handler.ts';
import { onMachine, outputView } from './one.ts';

export const handler: HandlerOf<'vm.suspend'> = {
  ...onMachine,
  prepare: async ({ vm }, { services }) => {
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
      name: 'save its memory',
      run: ({ id }, { services, signal, progress }) => save(services.machines.get(id), signal, progress),
      undo: ({ id }, { services }) => unsave(services.machines.get(id), services.machines),
    },
    {
      name: 'end QEMU',
      run: async ({ id }, { services }) => {
        const machine = services.machines.get(id);
        await endSuspended(machine, services.machines);
        services.events.record({ type: 'vm.suspended', subject: id, name: machine.name, message: `${machine.name} was suspended to disk` });
      },
    },
  ],
  output: outputView,
};
