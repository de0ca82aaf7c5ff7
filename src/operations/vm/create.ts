// `vm.create`: makes a machine without starting it.
import type { HandlerOf } from '../../task/handler.ts';
import { createSteps, prepareCreate } from './create-steps.ts';
import { onMachine, outputView } from './one.ts';

export const handler: HandlerOf<'vm.create'> = {
  ...onMachine,
  prepare: (input, { services }) => prepareCreate(input, services),
  steps: [
    ...createSteps,
    // Its address is its own from now on, so it has a name as well, as a stopped machine does.
    { name: 'tell its name', run: (_, { services }) => services.machines.networks.changed() },
  ],
  output: outputView,
};
