// `vm.remove`: a VM and its disks go for good.
import { VivError } from '../../contract/errors.ts';
import { decide } from '../../vm/decide.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { makeWay } from './force.ts';
import { type OnVm, onVm } from './one.ts';
import { removeSteps } from './remove-steps.ts';

/** @throws in_use */
function checkTemplates({ id, name }: OnVm, { snapshots }: Services): void {
  const templates = snapshots.of(id).filter(({ template }) => template);
  if (templates.length === 0) return;
  const which = templates.map(({ label, id: snapshot }) => label ?? snapshot).join(', ');
  const [of, goes] = templates.length === 1 ? ['the template', 'goes'] : ['the templates', 'go'];
  throw new VivError('in_use', `${name} has ${of} ${which}, which ${goes} with it; to remove all of it: viv rm --force ${name}`);
}

export const handler: HandlerOf<'vm.remove'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, force }, { services }) => {
    const vm = services.vms.findAny(vmRef);
    const { id, name } = vm;
    decide('remove', vm, { force });
    services.warmPools.checkUnused({ vm: id, name });
    if (!force) checkTemplates({ id, name }, services);
    if (force) await makeWay({ id, name }, services);
    return { id, name, force };
  },
  admit: async ({ id, force }, { vms, warmPools }) => {
    const vm = vms.byId(id);
    if (vm) warmPools.checkUnused({ vm: id, name: vm.name });
    return vm ? decide('remove', vm, { force }) : 'ignore';
  },
  steps: removeSteps,
  output: async ({ id, name }) => ({ id, name }),
};
