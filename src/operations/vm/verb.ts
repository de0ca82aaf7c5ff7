// Verbs of a single step: pause, resume, reset.
import type { Verb } from '../../contract/vm-verdicts.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import type { Machine } from '../../vm/vm.ts';
import { onMachine, outputView } from './one.ts';

const past = { pause: 'paused', resume: 'resumed', reset: 'reset' } as const;

/** The handler of a verb that is one repeatable act on a machine that is alive. */
export function verb(name: Verb & keyof typeof past, act: (machine: Machine) => Promise<void>): HandlerOf<`vm.${typeof name}`> {
  return {
    ...onMachine,
    prepare: async ({ vm }, { services }) => {
      const { id, name } = services.machines.find(vm);
      return { id, name };
    },
    admit: async ({ id }, { machines }) => decide(name, machines.get(id).record),
    steps: [
      {
        name,
        run: async ({ id }, { services }) => {
          const machine = services.machines.get(id);
          await act(machine);
          services.events.record({
            type: `vm.${past[name]}`,
            subject: id,
            name: machine.name,
            message: `${machine.name} was ${past[name]}`,
          });
        },
      },
    ],
    output: outputView,
  };
}
