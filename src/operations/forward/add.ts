// `forward.add`: forwards ports of the host to a VM, all of them or none.
import { VivError } from '../../contract/errors.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm } from '../vm/one.ts';

interface Forwarding extends OnVm {
  forwards: ForwardRecord[];
}

export const handler: HandlerOf<'forward.add'> = {
  ...onVm,
  prepare: async ({ vm, forwards, nic }, { services: { vms, networks } }): Promise<Forwarding> => {
    const { id, name, record } = vms.find(vm);
    return { id, name, forwards: await networks.forwards.checked(forwards, record, nic ?? null) };
  },
  steps: [
    {
      name: 'record the port forwards',
      run: async ({ id, forwards }: Forwarding, { services: { vms, networks } }) => {
        vms.get(id);
        await networks.forwards.enter(forwards);
      },
      undo: async ({ forwards }: Forwarding, { services: { networks } }) => {
        await networks.forwards.drop(forwards);
        await networks.tryReconcile();
      },
    },
    {
      name: 'open the ports',
      run: async ({ id, name, forwards }: Forwarding, { services: { networks, events } }) => {
        await networks.reconcile();
        for (const one of forwards) {
          const { state, problem } = await networks.forwards.view(one);
          if (state === 'failed') throw new VivError('in_use', `cannot forward ${one.name} to ${name}: ${problem}`);
        }
        for (const one of forwards) {
          events.record({ type: 'forward.added', subject: id, name, message: `${one.name} is forwarded to ${name}` });
        }
      },
    },
  ],
  output: async ({ forwards }: Forwarding, { networks }) => Promise.all(forwards.map((one) => networks.forwards.view(one))),
};
