// Verbs of a single step: pause, resume, reset.
import type { Verb } from '../../contract/vm-verdicts.ts';
import { decide } from '../../vm/decide.ts';
import { refreshState } from '../../vm/lifecycle/responding.ts';
import type { Vm } from '../../vm/vm.ts';
import type { HandlerOf } from '../handler.ts';
import { onVm, outputView } from './one.ts';

const past = { pause: 'paused', resume: 'resumed', reset: 'reset' } as const;

/** The handler of a verb that is one repeatable act on a VM that is alive. */
export function verb(name: Verb & keyof typeof past, act: (vm: Vm) => Promise<void>): HandlerOf<`vm.${typeof name}`> {
  return {
    ...onVm,
    prepare: async ({ vm: vmRef }, { services }) => {
      const { id, name } = services.vms.find(vmRef);
      return { id, name };
    },
    // QEMU decides, not the record: a command that timed out may have been carried out since.
    admit: async ({ id }, { vms }) => {
      const vm = vms.get(id);
      await refreshState(vm);
      return decide(name, vm);
    },
    steps: [
      {
        name,
        run: async ({ id }, { services }) => {
          const vm = services.vms.get(id);
          await act(vm);
          services.events.record({
            type: `vm.${past[name]}`,
            subject: id,
            name: vm.name,
            message: `${vm.name} was ${past[name]}`,
          });
        },
      },
    ],
    output: outputView,
  };
}
