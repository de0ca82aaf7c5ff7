// What the machine operations share: finding the machine, its queue, its view.
import type { Vm } from '../../contract/vm.ts';
import type { Machine } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

/** State of a task on one machine that exists. */
export interface OnMachine {
  id: string;
  name: string;
}

export const queueOf = (id: string): string => `vm/${id}`;

export function viewOf(machine: Machine, services: Services): Vm {
  return machine.view(services.tasks.activity(queueOf(machine.id)));
}

/** What every task on one existing machine has in common. */
export const onMachine = {
  target: (state: OnMachine) => state.name,
  queue: (state: OnMachine) => queueOf(state.id),
};

/** What a finished task answers; it still holds the queue itself, which is no activity to show. */
export const outputView = async (state: OnMachine, services: Services): Promise<Vm> => services.machines.get(state.id).view(null);
