// `vm.remove`: a machine and its disks go for good.
import { decide } from '../../machine/decide.ts';
import { removeFiles } from '../../machine/files.ts';
import { endNow } from '../../machine/stop.ts';
import type { HandlerOf } from '../handler.ts';
import { onMachine } from './one.ts';

export const handler: HandlerOf<'vm.remove'> = {
  ...onMachine,
  prepare: async ({ vm, force }, { services }) => {
    const { id, name, record } = services.machines.find(vm);
    decide('remove', record, { force });
    if (force) await services.tasks.cancelQueue(onMachine.queue({ id, name }), '');
    return { id, name, force };
  },
  admit: async ({ id, force }, { machines }) => {
    const machine = machines.byId(id);
    return machine ? decide('remove', machine.record, { force }) : 'ignore';
  },
  steps: [
    {
      name: 'end QEMU',
      pointOfNoReturn: true,
      run: async ({ id }, { services }) => {
        const machine = services.machines.byId(id);
        if (!machine) return;
        // From here it is no machine any more: not listed, and its name stays reserved until its files are gone.
        if (machine.record.complete) await machine.update(() => ({ complete: false, wanted: 'stopped' }));
        await endNow(machine, services.machines);
      },
    },
    {
      name: 'remove its files',
      run: async ({ id, name }, { services }) => {
        const machine = services.machines.byId(id);
        if (!machine) return;
        await removeFiles(machine.record, services.machines.host);
        await services.machines.drop(id);
        services.events.record({ type: 'vm.removed', subject: id, name, message: `${name} was removed` });
      },
    },
  ],
  output: async ({ id, name }) => ({ id, name }),
};
