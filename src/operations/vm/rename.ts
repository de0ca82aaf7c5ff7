// `vm.rename`: another name, and another host name inside where the machine's name was its host name.

import type { HandlerOf } from '../../task/handler.ts';
import { makeSeed } from '../../vm/files.ts';
import { nameTaken } from '../../vm/registry.ts';
import { onMachine, outputView } from './one.ts';

export const handler: HandlerOf<'vm.rename'> = {
  ...onMachine,
  prepare: async ({ vm, name: newName }, { services }) => {
    const { id, name } = services.machines.find(vm);
    if (name !== newName && services.machines.nameTaken(newName)) throw nameTaken(newName);
    return { id, name, oldName: name, newName };
  },
  steps: [
    {
      name: 'take the name',
      run: async ({ id, newName, oldName }, { services }) => {
        const machine = services.machines.get(id);
        // What was before it in the queue may have given it another one.
        const before = machine.name === newName ? oldName : machine.name;
        await services.machines.rename(machine, newName);
        return { oldName: before };
      },
      undo: ({ id, oldName }, { services }) => services.machines.rename(services.machines.get(id), oldName),
    },
    {
      name: 'tell the guest',
      run: async ({ id, oldName, newName }, { services, signal, log }) => {
        const machine = services.machines.get(id);
        services.events.record({ type: 'vm.renamed', subject: id, name: newName, message: `${oldName} is now named ${newName}` });
        if (machine.record.settings.hostname !== null) return;
        if (!machine.live) await makeSeed(machine.record, services.machines.host, signal);
        await machine.live?.agent
          ?.configure({ hostname: newName })
          .catch((error: unknown) => log(`the guest keeps its host name until it starts again: ${(error as Error).message}`));
      },
    },
  ],
  output: outputView,
};
