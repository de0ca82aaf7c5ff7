// `vm.rename`: another name, and another host name inside where the VM's name was its host name.

import { makeSeed } from '../../vm/files.ts';
import { renameVm } from '../../vm/register.ts';
import { nameTaken } from '../../vm/registry.ts';
import type { HandlerOf } from '../handler.ts';
import { onVm, outputView } from './one.ts';

export const handler: HandlerOf<'vm.rename'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, name: newName }, { services }) => {
    const { id, name } = services.vms.find(vmRef);
    if (name !== newName && services.vms.nameTaken(newName)) throw nameTaken(newName);
    return { id, name, oldName: name, newName };
  },
  steps: [
    {
      name: 'record the name',
      run: async ({ id, newName, oldName }, { services }) => {
        const vm = services.vms.get(id);
        // What was before it in the queue may have given it another one.
        const before = vm.name === newName ? oldName : vm.name;
        await renameVm(vm, newName, services);
        return { oldName: before };
      },
      undo: ({ id, oldName }, { services }) => renameVm(services.vms.get(id), oldName, services),
    },
    {
      name: 'set the host name in the guest',
      run: async ({ id, oldName, newName }, { services, signal, log }) => {
        const vm = services.vms.get(id);
        services.events.record({ type: 'vm.renamed', subject: id, name: newName, message: `${oldName} is now named ${newName}` });
        if (vm.record.settings.hostname !== null) return;
        if (!vm.live) await makeSeed(vm.record, services, signal);
        await vm.live?.agent
          ?.configure({ hostname: newName })
          .catch((error: unknown) => log(`the guest keeps its host name until it starts again: ${(error as Error).message}`));
      },
    },
  ],
  output: outputView,
};
