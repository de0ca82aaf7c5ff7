// `vm.stop`: politely, and firmly after the deadline. With `force`, whatever else is under way on the machine is cancelled.
import { decide } from '../../machine/decide.ts';
import type { HandlerOf } from '../handler.ts';
import { onMachine, outputView } from './one.ts';
import { stopSteps } from './stop-steps.ts';

export const handler: HandlerOf<'vm.stop'> = {
  ...onMachine,
  prepare: async ({ vm, force, timeoutMs }, { services }) => {
    const { id, name } = services.machines.find(vm);
    if (force) await services.tasks.cancelQueue(onMachine.queue({ id, name }), '');
    return { id, name, force, timeoutMs };
  },
  admit: async ({ id }, { machines }) => decide('stop', machines.get(id).record),
  steps: stopSteps,
  output: outputView,
};
