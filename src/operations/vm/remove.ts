// `vm.remove`: a machine and its disks go for good.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import type { Machines } from '../../vm/registry.ts';
import { makeWay } from './force.ts';
import { type OnMachine, onMachine } from './one.ts';
import { removeSteps } from './remove-steps.ts';

/** @throws in_use */
function checkTemplates({ id, name }: OnMachine, { points }: Machines): void {
  const templates = points.of(id).filter(({ template }) => template);
  if (templates.length === 0) return;
  const which = templates.map(({ label, id: point }) => label ?? point).join(', ');
  const [of, goes] = templates.length === 1 ? ['the template', 'goes'] : ['the templates', 'go'];
  throw new VivError('in_use', `${name} has ${of} ${which}, which ${goes} with it; to remove all of it: viv rm --force ${name}`);
}

export const handler: HandlerOf<'vm.remove'> = {
  ...onMachine,
  prepare: async ({ vm, force }, { services }) => {
    const { id, name, record } = services.machines.find(vm);
    decide('remove', record, { force });
    services.machines.pools.checkUnused({ vm: id, name });
    if (!force) checkTemplates({ id, name }, services.machines);
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
