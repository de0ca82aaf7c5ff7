// `vm.stop`: politely, and firmly after the deadline. With `force`, whatever else is under way on the machine is cancelled.
import type { Vm } from '../../contract/vm.ts';
import type { HandlerOf, Step } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import { makeWay } from './force.ts';
import { onMachine, outputView } from './one.ts';
import { removeSteps } from './remove-steps.ts';
import { pointBefore } from './snapshot-before.ts';
import { type Stopping, stopSteps } from './stop-steps.ts';

interface StoppingForGood extends Stopping {
  /** What was shown of it last, for a machine that is removed when it stops. */
  last?: Vm;
}

const forGood = (step: Step<StoppingForGood>): Step<StoppingForGood> => ({
  ...step,
  run: async (state, context) => {
    const machine = context.services.machines.byId(state.id);
    if (!machine?.record.settings.removeOnStop) return;
    const last = state.last ?? machine.view(null);
    await step.run(state, context);
    return { last };
  },
});

const { before } = pointBefore<StoppingForGood>({
  what: 'stop',
  when: ({ force }, { live, record }) => force && live !== null && !record.settings.removeOnStop,
});

export const handler: HandlerOf<'vm.stop'> = {
  ...onMachine,
  prepare: async ({ vm, force, timeoutMs }, { services }) => {
    const { id, name } = services.machines.find(vm);
    if (force) await makeWay({ id, name }, services);
    return { id, name, force, timeoutMs };
  },
  admit: async ({ id }, { machines }) => {
    const { record } = machines.get(id);
    if (record.settings.removeOnStop) machines.pools.checkUnused({ vm: id, name: record.name });
    // One that has ended by itself may be about to be started again by its policy.
    return record.wanted === 'running' ? 'accept' : decide('stop', record);
  },
  steps: [...before, ...stopSteps, ...removeSteps.map(forGood)],
  output: async (state: StoppingForGood, services) => state.last ?? outputView(state, services),
};
