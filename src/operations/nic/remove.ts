// `network.detach`: a card is taken away from a machine, also from one that runs.

import { checkUnforwarded } from '../../network/forward/forwards.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { cardOf, checkPull, dropCard, enterCard, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import type { NicRecord } from '../../vm/record.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';

interface Detaching extends OnMachine {
  nic: string;
  /** As it was, in case it stays. */
  card: NicRecord;
}

export const handler: HandlerOf<'network.detach'> = {
  ...onMachine,
  prepare: async ({ vm, nic }, { services: { machines } }): Promise<Detaching> => {
    const machine = machines.find(vm);
    const card = cardOf(machine, nic);
    checkPull(machine, nic);
    checkUnforwarded(machine, nic, machines.networks.forwards);
    return { id: machine.id, name: machine.name, nic, card };
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
      undo: async ({ id, nic }: Detaching, { services: { machines }, signal }) => {
        const machine = machines.byId(id);
        if (machine) await plugIn(machine, machines, nic, signal);
      },
    },
    {
      name: 'forget it',
      run: async ({ id, nic }: Detaching, { services: { machines, events } }) => {
        const machine = machines.get(id);
        await dropCard(machine, machines, nic);
        events.record({ type: 'network.detached', subject: id, name: machine.name, message: `${machine.name} gave the card ${nic} back` });
      },
      undo: async ({ id, card }: Detaching, { services: { machines } }) => {
        const machine = machines.byId(id);
        if (machine) await enterCard(machine, machines, card);
      },
    },
  ],
  output: outputView,
};
