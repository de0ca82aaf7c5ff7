// `vm.start`: starts a VM, or resumes a suspended one. When the start of a VM with a restart policy fails, it is broken with the reason, and
// started again later (vm/lifecycle/supervisor.ts).

import { restartsAgain } from '../../vm/lifecycle/supervisor.ts';
import type { HandlerOf, Step } from '../handler.ts';
import { type OnVm, onVm, outputView } from './one.ts';
import { admitStart, startSteps } from './start-steps.ts';

interface Starting extends OnVm {
  /** Starts in a row by its policy so far; null: when this one fails, that is the end of it. */
  again?: number | null;
}

const tryAgain = (step: Step<OnVm>): Step<Starting> => ({
  ...step,
  undo: async (state, context) => {
    await step.undo?.(state, context);
    const { vms, bootId } = context.services;
    const vm = vms.byId(state.id);
    if (state.again === undefined || state.again === null || vm?.record.state !== 'stopped') return;
    await vm.update(() => ({
      ...{ state: 'broken', desired: 'running', restarts: state.again ?? 0, bootId },
      stateReason: { code: 'start_failed', message: 'it could not be started again', occurredAt: Date.now() },
    }));
  },
});

export const handler: HandlerOf<'vm.start'> = {
  ...onVm,
  prepare: async ({ vm: vmRef }, { services }): Promise<Starting> => {
    const { id, name, record } = services.vms.find(vmRef);
    const meant = restartsAgain(record.settings.restart, record.desired, true) && !record.settings.removeOnStop;
    return { id, name, again: meant ? record.restarts : null };
  },
  admit: admitStart,
  steps: startSteps.map(tryAgain),
  output: outputView,
};
