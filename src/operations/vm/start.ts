// `vm.start`: starts a machine, or wakes a suspended one. One that is meant to run by its policy stays so when its start fails:
// it is broken, with the reason, and tried again later (machine/keeper.ts).

import type { HandlerOf, Step } from '../../task/handler.ts';
import { restartsAgain } from '../../vm/lifecycle/supervisor.ts';
import { type OnMachine, onMachine, outputView } from './one.ts';
import { admitStart, startSteps } from './start-steps.ts';

interface Starting extends OnMachine {
  /** Starts in a row by its policy so far; null: when this one fails, that is the end of it. */
  again?: number | null;
}

const tryAgain = (step: Step<OnMachine>): Step<Starting> => ({
  ...step,
  undo: async (state, context) => {
    await step.undo?.(state, context);
    const { machines } = context.services;
    const machine = machines.byId(state.id);
    if (state.again === undefined || state.again === null || machine?.record.state !== 'stopped') return;
    await machine.update(() => ({
      ...{ state: 'broken', wanted: 'running', restarts: state.again ?? 0, bootId: machines.host.bootId },
      stateReason: { code: 'start_failed', message: 'it could not be started again', at: Date.now() },
    }));
  },
});

export const handler: HandlerOf<'vm.start'> = {
  ...onMachine,
  prepare: async ({ vm }, { services }): Promise<Starting> => {
    const { id, name, record } = services.machines.find(vm);
    const meant = restartsAgain(record.settings.restart, record.wanted, true) && !record.settings.removeOnStop;
    return { id, name, again: meant ? record.restarts : null };
  },
  admit: admitStart,
  steps: startSteps.map(tryAgain),
  output: outputView,
};
