// `network.detach`: a card is taken away from a machine, also from one that runs.
import { cardOf, checkPull, dropCard, pullOut } from '../../machine/card.ts';
import { checkUnforwarded } from '../../machine/forwards.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';

interface Detaching extends OnMachine {
  nic: string;
}

export const handler: HandlerOf<'network.detach'> = {
  ...onMachine,
  prepare: async ({ vm, nic }, { services: { machines } }): Promise<Detaching> => {
    const machine = machines.find(vm);
    cardOf(machine, nic);
    checkPull(machine, nic);
    checkUnforwarded(machine, nic, machines.networks.forwards);
    return { id: machine.id, name: machine.name, nic };
  },
  admit: async ({ id, nic }: Detaching, { machines }) => {
    cardOf(machines.get(id), nic);
    checkPull(machines.get(id), nic);
    checkUnforwarded(machines.get(id), nic, machines.networks.forwards);
    return 'accept';
  },
  steps: [
    {
      name: 'pull it',
      run: ({ id, nic }: Detaching, { services: { machines }, signal }) => pullOut(machines.get(id), nic, signal),
    },
    {
      name: 'forget it',
      pointOfNoReturn: true,
      run: async ({ id, nic }: Detaching, { services: { machines, events } }) => {
        const machine = machines.get(id);
        await dropCard(machine, machines, nic);
        events.record({ type: 'network.detached', subject: id, name: machine.name, message: `${machine.name} gave the card ${nic} back` });
      },
    },
  ],
  output: outputView,
};
