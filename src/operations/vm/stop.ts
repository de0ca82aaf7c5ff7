// `vm.stop`: gracefully, and by force after the deadline. With `force`, other tasks on the VM are cancelled.
import type { Vm } from '../../contract/vm-state.ts';
import { decide } from '../../vm/decide.ts';
import type { HandlerOf, Step } from '../handler.ts';
import { makeWay } from './force.ts';
import { onVm } from './one.ts';
import { removeSteps } from './remove-steps.ts';
import { snapshotBefore } from './snapshot-before.ts';
import { type Stopping, stoppedView, stopSteps } from './stop-steps.ts';

interface StoppingForGood extends Stopping {
  /** What was shown of it last, for a VM that is removed when it stops. */
  last?: Vm;
}

const forGood = (step: Step<StoppingForGood>): Step<StoppingForGood> => ({
  ...step,
  run: async (state, context) => {
    const vm = context.services.vms.byId(state.id);
    if (!vm?.record.settings.removeOnStop) return;
    const last = state.last ?? vm.view(null);
    await step.run(state, context);
    return { last };
  },
});

const { before } = snapshotBefore<StoppingForGood>({
  what: 'stop',
  when: ({ force }, { live, record }) => force && live !== null && !record.settings.removeOnStop,
});

export const handler: HandlerOf<'vm.stop'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, force, timeoutMs }, { services }) => {
    const { id, name } = services.vms.find(vmRef);
    if (force) await makeWay({ id, name }, services);
    return { id, name, force, timeoutMs };
  },
  admit: async ({ id }, { vms, warmPools }) => {
    const { record } = vms.get(id);
    if (record.settings.removeOnStop) warmPools.checkUnused({ vm: id, name: record.name });
    // One that has ended by itself may be about to be started again by its policy.
    return record.desired === 'running' ? 'accept' : decide('stop', vms.get(id));
  },
  steps: [...before, ...stopSteps, ...removeSteps.map(forGood)],
  output: async (state: StoppingForGood, services) => stoppedView(state, services, state.last),
};
