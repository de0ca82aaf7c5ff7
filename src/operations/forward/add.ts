// `network.forward`: ports of the host lead to a machine. All of them, or none.
import { VivError } from '../../contract/errors.ts';
import type { ForwardRecord } from '../../network/record/port-forward.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';

interface Forwarding extends OnMachine {
  forwards: ForwardRecord[];
}

export const handler: HandlerOf<'network.forward'> = {
  ...onMachine,
  prepare: async ({ vm, forwards, nic }, { services: { machines } }): Promise<Forwarding> => {
    const { id, name, record } = machines.find(vm);
    return { id, name, forwards: await machines.networks.forwards.checked(forwards, record, nic ?? null) };
  },
  steps: [
    {
      name: 'enter them',
      run: async ({ id, forwards }: Forwarding, { services: { machines } }) => {
        machines.get(id);
        await machines.networks.forwards.enter(forwards);
      },
      undo: async ({ forwards }: Forwarding, { services: { machines } }) => {
        await machines.networks.forwards.drop(forwards);
        await machines.networks.changed();
      },
    },
    {
      name: 'open them',
      run: async ({ id, name, forwards }: Forwarding, { services: { machines, events } }) => {
        await machines.networks.bring();
        for (const one of forwards) {
          const { state, problem } = await machines.networks.forwards.view(one);
          if (state === 'failed') throw new VivError('in_use', `${one.name} could not be opened for ${name}: ${problem}`);
        }
        for (const one of forwards) {
          events.record({ type: 'network.forwarded', subject: id, name, message: `${one.name} of this host leads to ${name}` });
        }
      },
    },
  ],
  output: async ({ forwards }: Forwarding, { machines }) => Promise.all(forwards.map((one) => machines.networks.forwards.view(one))),
};
