// `vm.start`: starts a machine, or wakes a suspended one.
import type { HandlerOf } from '../handler.ts';
import { onMachine, outputView } from './one.ts';
import { admitStart, startSteps } from './start-steps.ts';

export const handler: HandlerOf<'vm.start'> = {
  ...onMachine,
  prepare: async ({ vm }, { services }) => {
    const { id, name } = services.machines.find(vm);
    return { id, name };
  },
  admit: admitStart,
  steps: startSteps,
  output: outputView,
};
