// `vm.run`: makes a VM and starts it; if it cannot start, nothing of it is left.
import type { HandlerOf } from '../handler.ts';
import { createSteps, prepareCreate } from './create-steps.ts';
import { onVm, outputView } from './one.ts';
import { startSteps } from './start-steps.ts';

export const handler: HandlerOf<'vm.run'> = {
  ...onVm,
  prepare: async (input, { services }) => {
    await services.host.accelerator(input.accel);
    return prepareCreate(input, services);
  },
  steps: [...createSteps, ...startSteps],
  output: outputView,
};
