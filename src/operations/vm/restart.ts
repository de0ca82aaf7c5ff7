// `vm.restart`: stops a VM and starts it again, with settings that waited for it.

import { decide } from '../../vm/decide.ts';
import { checkStart } from '../../vm/lifecycle/check-start.ts';
import type { HandlerOf } from '../handler.ts';
import { onVm } from './one.ts';
import { snapshotBefore } from './snapshot-before.ts';
import { startSteps } from './start-steps.ts';
import { type Stopping, stoppedView, stopSteps } from './stop-steps.ts';

const { before } = snapshotBefore<Stopping>({ what: 'restart', when: ({ force }, { live }) => force && live !== null });

export const handler: HandlerOf<'vm.restart'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, force, timeoutMs }, { services }) => {
    const vm = services.vms.find(vmRef);
    decide('restart', vm);
    // What would make the start fail is found before anything is stopped.
    services.networks.checkProblems(vm.record.nics);
    if (!vm.live) await checkStart(vm, services);
    return { id: vm.id, name: vm.name, force, timeoutMs };
  },
  admit: async ({ id }, { vms }) => decide('restart', vms.get(id)),
  steps: [...before, ...stopSteps, ...startSteps],
  output: stoppedView,
};
