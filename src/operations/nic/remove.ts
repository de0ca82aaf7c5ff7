// `nic.remove`: removes a NIC from a VM, also while it runs.
import { checkPull, dropNic, enterNic, nicOf, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import type { NicRecord } from '../../vm/record.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm } from '../vm/one.ts';

interface Removing extends OnVm {
  nicId: string;
  /** As it was, in case it stays. */
  nic: NicRecord;
}

export const handler: HandlerOf<'nic.remove'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, nic: nicId }, { services: { vms, networks } }): Promise<Removing> => {
    const vm = vms.find(vmRef);
    const nic = nicOf(vm, nicId);
    checkPull(vm, nicId);
    networks.forwards.checkNoneTo(vm, nicId);
    return { id: vm.id, name: vm.name, nicId, nic };
  },
  admit: async ({ id, nicId }: Removing, { vms, networks }) => {
    nicOf(vms.get(id), nicId);
    checkPull(vms.get(id), nicId);
    networks.forwards.checkNoneTo(vms.get(id), nicId);
    return 'accept';
  },
  steps: [
    {
      name: 'unplug the NIC',
      run: ({ id, nicId }: Removing, { services: { vms }, signal }) => pullOut(vms.get(id), nicId, signal),
      undo: async ({ id, nicId }: Removing, { services, signal }) => {
        const vm = services.vms.byId(id);
        if (vm) await plugIn(vm, services, nicId, signal);
      },
    },
    {
      name: 'remove the record',
      run: async ({ id, nicId }: Removing, { services }) => {
        const vm = services.vms.get(id);
        await dropNic(vm, services, nicId);
        services.events.record({ type: 'nic.removed', subject: id, name: vm.name, message: `${nicId} was removed from ${vm.name}` });
      },
      undo: async ({ id, nic }: Removing, { services }) => {
        const vm = services.vms.byId(id);
        if (vm) await enterNic(vm, services, nic);
      },
    },
  ],
  output: async ({ name, nicId }: Removing) => ({ vm: name, id: nicId }),
};
