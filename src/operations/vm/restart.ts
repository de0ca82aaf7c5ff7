// `vm.restart`: stops a machine and starts it again, with settings that waited for it.

import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import { checkStart } from '../../vm/lifecycle/start.ts';
import { onMachine, outputView } from './one.ts';
import { pointBefore } from './snapshot-before.ts';
import { startSteps } from './start-steps.ts';
import { type Stopping, stopSteps } from './stop-steps.ts';

const { before } = pointBefore<Stopping>({ what: 'restart', when: ({ force }, { live }) => force && live !== null });

export const handler: HandlerOf<'vm.restart'> = {
  ...onMachine,
  prepare: async ({ vm, force, timeoutMs }, { services }) => {
    const machine = services.machines.find(vm);
    decide('restart', machine.record);
    // What would make the start fail is found before anything is stopped.
    services.machines.networks.checkProblems(machine.record.nics);
    if (!machine.live) await checkStart(machine, services.machines);
    return { id: machine.id, name: machine.name, force, timeoutMs };
  },
  admit: async ({ id }, { machines }) => decide('restart', machines.get(id).record),
  steps: [...before, ...stopSteps, ...startSteps],
  output: outputView,
};
