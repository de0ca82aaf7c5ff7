// `vm.create`: makes a machine without starting it.
import type { HandlerOf } from '../handler.ts';
import { createSteps, prepareCreate } from './create-steps.ts';
import { onMachine, outputView } from './one.ts';

export const handler: HandlerOf<'vm.create'> = {
  ...onMachine,
  prepare: (input, { services }) => prepareCreate(input, services),
  steps: createSteps,
  output: outputView,
};
