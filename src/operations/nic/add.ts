// `network.attach`: one more NIC for a VM; one that runs gets it at once.

import { VivError } from '../../contract/errors.ts';
import { openGuard } from '../../contract/nic.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { checkPlug, dropNic, enterNic, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import { guardOf, nicFrom } from '../../vm/device/nics.ts';
import type { NicRecord } from '../../vm/record.ts';
import type { Vm } from '../../vm/vm.ts';
import { type OnVm, onVm, outputView } from '../vm/one.ts';
import { guardFrom } from './set-rules.ts';

interface Attaching extends OnVm {
  nic: NicRecord;
}

export const handler: HandlerOf<'network.attach'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, network, mac, address, vlan, trunk, ...asked }, { services: { vms } }): Promise<Attaching> => {
    const vm = vms.find(vmRef);
    const tags = [...(vlan === undefined ? [] : [`vlan=${vlan}`]), ...(trunk.length === 0 ? [] : [`trunk=${trunk.join('+')}`])];
    await vms.networks.chosen([[network, ...tags].join(',')]);
    check(vm);
    const guard = { ...openGuard, ...guardFrom(asked) };
    await vms.networks.checkGuard(guard);
    const wish = { network, mac: mac ?? null, addresses: address === undefined ? [] : [address], vlan: vlan ?? null, trunk, guard };
    checkMac(vm, wish.mac);
    const nic = nicFrom(wish, vm.id, vm.record.nics);
    // Asked for here already, so that nothing is begun that cannot be had.
    vms.networks.nics.placed({ ...vm.record, nics: [...vm.record.nics, nic] });
    vms.networks.nics.entered(vm.id);
    if (vm.live && nic.slot === null)
      throw new VivError('unsupported', `every slot of ${vm.name} for a NIC is taken; stop it first, or take another NIC away`);
    return { id: vm.id, name: vm.name, nic };
  },
  admit: async ({ id }: Attaching, { vms }) => {
    check(vms.get(id));
    return 'accept';
  },
  steps: [
    {
      name: 'choose its place',
      run: async ({ id, nic }: Attaching, { services: { vms } }) => {
        // What was before it in the queue may have taken the place.
        const { network, mac, ipv4, ipv6, vlan, trunk } = nic;
        const vm = vms.get(id);
        checkMac(vm, mac);
        const fresh = nicFrom({ network, mac, addresses: [], vlan, trunk, guard: guardOf(nic) }, id, vm.record.nics);
        return { nic: { ...fresh, ipv4, ipv6 } };
      },
    },
    {
      name: 'enter the NIC',
      run: ({ id, nic }: Attaching, { services: { vms } }) => enterNic(vms.get(id), vms, nic),
      undo: async ({ id, nic }: Attaching, { services: { vms } }) => {
        const vm = vms.byId(id);
        if (vm) await dropNic(vm, vms, nic.id);
      },
    },
    {
      name: 'plug it in',
      run: async ({ id, nic }: Attaching, { services: { vms, events }, signal }) => {
        const vm = vms.get(id);
        await plugIn(vm, vms, nic.id, signal);
        const message = `${vm.name} got the NIC ${nic.id} in the network ${nic.network}`;
        events.record({ type: 'network.attached', subject: id, name: vm.name, message });
      },
      undo: async ({ id, nic }: Attaching, { services: { vms }, signal }) => {
        const vm = vms.byId(id);
        if (vm) await pullOut(vm, nic.id, signal).catch(() => {}); // its guest may never have seen it
      },
    },
  ],
  output: outputView,
};

function check(vm: Vm): void {
  checkPlug(vm);
  if (vm.record.nics.length >= 16) throw new VivError('invalid', `${vm.name} has 16 NICs, which is as many as there can be`);
}

/** A guest knows its NICs by their MAC addresses. @throws in_use */
function checkMac({ name, record }: Vm, mac: string | null): void {
  const has = record.nics.find((one) => one.mac === mac);
  if (has)
    throw new VivError(
      'in_use',
      `the NIC ${has.id} of ${name} has the MAC address ${mac}; choose another one, or leave it out to have one made`,
    );
}
