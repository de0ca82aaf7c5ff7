// `network.link`: a NIC's cable, out or in.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { nicOf, setLink } from '../../vm/device/nic-hotplug.ts';
import { type OnVm, onVm, outputView } from '../vm/one.ts';

interface Linking extends OnVm {
  nic: string;
  up: boolean;
  before: boolean;
}

export const handler: HandlerOf<'network.link'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, nic, state }, { services: { vms } }): Promise<Linking> => {
    const vm = vms.find(vmRef);
    const { up: before } = nicOf(vm, nic);
    if (vm.record.state === 'suspended') throw new VivError('wrong_state', `${vm.name} is suspended; start it first`);
    return { id: vm.id, name: vm.name, nic, up: state === 'up', before };
  },
  steps: [
    {
      name: 'set it',
      run: ({ id, nic, up }: Linking, { services: { vms } }) => setLink(vms.get(id), vms, nic, up),
      undo: async ({ id, nic, before }: Linking, { services: { vms } }) => {
        const vm = vms.byId(id);
        if (vm) await setLink(vm, vms, nic, before);
      },
    },
  ],
  output: outputView,
};
