// `vm.remove`: a machine and its disks go for good.
import { decide } from '../../machine/decide.ts';
import type { HandlerOf } from '../handler.ts';
import { makeWay } from './force.ts';
import { onMachine } from './one.ts';
import { removeSteps } from './remove-steps.ts';

export const handler: HandlerOf<'vm.remove'> = {
  ...onMachine,
  prepare: async ({ vm, force }, { services }) => {
    const { id, name, record } = services.machines.find(vm);
    decide('remove', record, { force });
    services.machines.pools.checkUnused({ vm: id, name });
    if (force) await makeWay({ id, name }, services);
    return { id, name, force };
  },
  admit: async ({ id, force }, { machines }) => {
    const machine = machines.byId(id);
    if (machine) machines.pools.checkUnused({ vm: id, name: machine.name });
    return machine ? decide('remove', machine.record, { force }) : 'ignore';
  },
  steps: removeSteps,
  output: async ({ id, name }) => ({ id, name }),
};
