// `network.detach`: a NIC is taken away from a VM, also from one that runs.

import { checkUnforwarded } from '../../network/forward/forwards.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { checkPull, dropNic, enterNic, nicOf, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import type { NicRecord } from '../../vm/record.ts';
import { type OnVm, onVm, outputView } from '../vm/one.ts';

interface Detaching extends OnVm {
  nicId: string;
  /** As it was, in case it stays. */
  nic: NicRecord;
}

export const handler: HandlerOf<'network.detach'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, nic: nicId }, { services: { vms } }): Promise<Detaching> => {
    const vm = vms.find(vmRef);
    const nic = nicOf(vm, nicId);
    checkPull(vm, nicId);
    checkUnforwarded(vm, nicId, vms.networks.forwards);
    return { id: vm.id, name: vm.name, nicId, nic };
  },
  admit: async ({ id, nicId }: Detaching, { vms }) => {
    nicOf(vms.get(id), nicId);
    checkPull(vms.get(id), nicId);
    checkUnforwarded(vms.get(id), nicId, vms.networks.forwards);
    return 'accept';
  },
  steps: [
    {
      name: 'pull it',
      run: ({ id, nicId }: Detaching, { services: { vms }, signal }) => pullOut(vms.get(id), nicId, signal),
      undo: async ({ id, nicId }: Detaching, { services: { vms }, signal }) => {
        const vm = vms.byId(id);
        if (vm) await plugIn(vm, vms, nicId, signal);
      },
    },
    {
      name: 'forget it',
      run: async ({ id, nicId }: Detaching, { services: { vms, events } }) => {
        const vm = vms.get(id);
        await dropNic(vm, vms, nicId);
        events.record({ type: 'network.detached', subject: id, name: vm.name, message: `${vm.name} gave the NIC ${nicId} back` });
      },
      undo: async ({ id, nic }: Detaching, { services: { vms } }) => {
        const vm = vms.byId(id);
        if (vm) await enterNic(vm, vms, nic);
      },
    },
  ],
  output: outputView,
};
