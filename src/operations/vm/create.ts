// `vm.create`: makes a VM without starting it.
import type { HandlerOf } from '../handler.ts';
import { createSteps, prepareCreate } from './create-steps.ts';
import { onVm, outputView } from './one.ts';

export const handler: HandlerOf<'vm.create'> = {
  ...onVm,
  prepare: (input, { services }) => prepareCreate(input, services),
  steps: [
    ...createSteps,
    // Its address is its own from now on, so it has a name as well, as a stopped VM does.
    { name: 'publish the name in DNS', run: (_, { services }) => services.networks.tryReconcile() },
  ],
  output: outputView,
};
