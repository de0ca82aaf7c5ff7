// What `network.guard` and `network.limit` share: a NIC's groups, egress policy and limits, changed while it is in use.
import { parseEgress } from '../../contract/egress.ts';
import { VivError } from '../../contract/errors.ts';
import { type NicGuard, parseGroups } from '../../contract/nic.ts';
import { parseRate } from '../../contract/rate.ts';
import type { Vm } from '../../contract/vm.ts';
import type { Call, TaskHandler } from '../../task/handler.ts';
import { nicOf, setGuard } from '../../vm/device/nic-hotplug.ts';
import { guardOf, isVirtual } from '../../vm/device/nics.ts';
import { type OnVm, onVm, outputView } from '../vm/one.ts';

interface Asked {
  groups?: string[] | undefined;
  egress?: string[] | undefined;
  toGuest?: string | undefined;
  fromGuest?: string | undefined;
}

interface Guarding extends OnVm {
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

export function guardNic(type: string): TaskHandler<Asked & { vm: string; nic: string }, Vm, Guarding> {
  return {
    ...onVm,
    prepare: async ({ vm: vmRef, nic: nicId, ...asked }, { services: { vms } }: Call): Promise<Guarding> => {
      const vm = vms.find(vmRef);
      const nic = nicOf(vm, nicId);
      if (!isVirtual(nic))
        throw new VivError(
          'unsupported',
          `${nicId} of ${vm.name} is in QEMU’s own network (user), which knows no rules and no limits; give it a NIC in a network of ours instead`,
        );
      const change = guardFrom(asked);
      if (Object.keys(change).length === 0) throw new VivError('invalid', `say what is to change of ${nicId} of ${vm.name}`);
      await vms.networks.checkGuard({ groups: [], egress: null, ...change });
      return { id: vm.id, name: vm.name, nic: nicId, change, before: guardOf(nic) };
    },
    steps: [
      {
        name: 'see what it is now',
        run: async ({ id, nic: nicId }, { services: { vms } }) => ({ before: guardOf(nicOf(vms.get(id), nicId)) }),
      },
      {
        name: 'change it',
        run: async ({ id, name, nic: nicId, change }, { services: { vms, events } }) => {
          for (const group of change.groups ?? []) vms.networks.groups.get(group);
          await setGuard(vms.get(id), vms, nicId, change);
          events.record({ type, subject: id, name, message: `what ${nicId} of ${name} may do was changed` });
        },
        undo: async ({ id, nic: nicId, before }, { services: { vms } }) => {
          const vm = vms.byId(id);
          if (vm) await setGuard(vm, vms, nicId, before);
        },
      },
    ],
    output: outputView,
  };
}
