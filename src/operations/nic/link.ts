// `network.link`: a card's cable, out or in.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { cardOf, setLink } from '../../vm/device/nic-hotplug.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';

interface Linking extends OnMachine {
  nic: string;
  up: boolean;
  before: boolean;
}

export const handler: HandlerOf<'network.link'> = {
  ...onMachine,
  prepare: async ({ vm, nic, state }, { services: { machines } }): Promise<Linking> => {
    const machine = machines.find(vm);
    const { up: before } = cardOf(machine, nic);
    if (machine.record.state === 'suspended') throw new VivError('wrong_state', `${machine.name} is suspended; start it first`);
    return { id: machine.id, name: machine.name, nic, up: state === 'up', before };
  },
  steps: [
    {
      name: 'set it',
      run: ({ id, nic, up }: Linking, { services: { machines } }) => setLink(machines.get(id), machines, nic, up),
      undo: async ({ id, nic, before }: Linking, { services: { machines } }) => {
        const machine = machines.byId(id);
        if (machine) await setLink(machine, machines, nic, before);
      },
    },
  ],
  output: outputView,
};
