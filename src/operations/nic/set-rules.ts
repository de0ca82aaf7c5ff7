// What `network.guard` and `network.limit` share: a card's groups, egress policy and limits, changed while it is in use.
import { parseEgress } from '../../contract/egress.ts';
import { VivError } from '../../contract/errors.ts';
import { type NicGuard, parseGroups } from '../../contract/nic.ts';
import { parseRate } from '../../contract/rate.ts';
import type { Vm } from '../../contract/vm.ts';
import type { Call, TaskHandler } from '../../task/handler.ts';
import { cardOf, setGuard } from '../../vm/device/nic-hotplug.ts';
import { guardOf, isVirtual } from '../../vm/device/nics.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';

interface Asked {
  groups?: string[] | undefined;
  egress?: string[] | undefined;
  toGuest?: string | undefined;
  fromGuest?: string | undefined;
}

interface Guarding extends OnMachine {
  nic: string;
  change: Partial<NicGuard>;
  before: NicGuard;
}

/** Only what was asked for. @throws invalid */
export const guardFrom = ({ groups, egress, toGuest, fromGuest }: Asked): Partial<NicGuard> => ({
  ...(groups === undefined ? {} : { groups: parseGroups(groups) }),
  ...(egress === undefined ? {} : { egress: parseEgress(egress) }),
  ...(toGuest === undefined ? {} : { toGuest: parseRate(toGuest) }),
  ...(fromGuest === undefined ? {} : { fromGuest: parseRate(fromGuest) }),
});

export function guardCard(type: string): TaskHandler<Asked & { vm: string; nic: string }, Vm, Guarding> {
  return {
    ...onMachine,
    prepare: async ({ vm, nic, ...asked }, { services: { machines } }: Call): Promise<Guarding> => {
      const machine = machines.find(vm);
      const card = cardOf(machine, nic);
      if (!isVirtual(card))
        throw new VivError(
          'unsupported',
          `${nic} of ${machine.name} is in QEMU’s own network (user), which knows no rules and no limits; give it a card in a network of ours instead`,
        );
      const change = guardFrom(asked);
      if (Object.keys(change).length === 0) throw new VivError('invalid', `say what is to change of ${nic} of ${machine.name}`);
      await machines.networks.checkGuard({ groups: [], egress: null, ...change });
      return { id: machine.id, name: machine.name, nic, change, before: guardOf(card) };
    },
    steps: [
      {
        name: 'see what it is now',
        run: async ({ id, nic }, { services: { machines } }) => ({ before: guardOf(cardOf(machines.get(id), nic)) }),
      },
      {
        name: 'change it',
        run: async ({ id, name, nic, change }, { services: { machines, events } }) => {
          for (const group of change.groups ?? []) machines.networks.groups.get(group);
          await setGuard(machines.get(id), machines, nic, change);
          events.record({ type, subject: id, name, message: `what ${nic} of ${name} may do was changed` });
        },
        undo: async ({ id, nic, before }, { services: { machines } }) => {
          const machine = machines.byId(id);
          if (machine) await setGuard(machine, machines, nic, before);
        },
      },
    ],
    output: outputView,
  };
}
