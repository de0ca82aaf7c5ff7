// `nic.add`: adds a NIC to a VM. A running VM gets it immediately.
import { VivError } from '../../contract/errors.ts';
import { defaultNicRules } from '../../contract/nic-spec.ts';
import { checkPlug, dropNic, enterNic, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import { nicFrom, rulesOf } from '../../vm/device/nics.ts';
import type { NicRecord } from '../../vm/record.ts';
import type { Vm } from '../../vm/vm.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm } from '../vm/one.ts';
import { nicView, rulesFrom } from './settings.ts';

interface Adding extends OnVm {
  nic: NicRecord;
}

export const handler: HandlerOf<'nic.add'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, network, mac, address, vlan, trunk, link, ...asked }, { services: { vms, networks } }): Promise<Adding> => {
    const vm = vms.find(vmRef);
    const tags = [...(vlan === undefined ? [] : [`vlan=${vlan}`]), ...(trunk.length === 0 ? [] : [`trunk=${trunk.join('+')}`])];
    await networks.choice.resolve([[network, ...tags].join(',')]);
    check(vm);
    const rules = { ...defaultNicRules, ...rulesFrom(asked) };
    await networks.choice.checkRules(rules);
    const wish = { network, mac: mac ?? null, addresses: address === undefined ? [] : [address], vlan: vlan ?? null, trunk, rules };
    checkMac(vm, wish.mac);
    const nic = { ...nicFrom(wish, vm.id, vm.record.nics), up: link !== 'down' };
    // Reserved and released: a NIC that is not possible fails before the task starts.
    networks.nics.reserve({ ...vm.record, nics: [...vm.record.nics, nic] });
    networks.nics.release(vm.id);
    if (vm.live && nic.slot === null)
      throw new VivError(
        'unsupported',
        `cannot add a NIC to ${vm.name}: all its hot-plug slots are in use. Stop it first, or remove another NIC`,
      );
    return { id: vm.id, name: vm.name, nic };
  },
  admit: async ({ id }: Adding, { vms }) => {
    check(vms.get(id));
    return 'accept';
  },
  steps: [
    {
      name: 'choose a slot',
      run: async ({ id, nic }: Adding, { services: { vms } }) => {
        // An earlier task in the queue may have used the slot.
        const { network, mac, ipv4, ipv6, vlan, trunk, up } = nic;
        const vm = vms.get(id);
        checkMac(vm, mac);
        const fresh = nicFrom({ network, mac, addresses: [], vlan, trunk, rules: rulesOf(nic) }, id, vm.record.nics);
        return { nic: { ...fresh, ipv4, ipv6, up } };
      },
    },
    {
      name: 'record the NIC',
      run: ({ id, nic }: Adding, { services }) => enterNic(services.vms.get(id), services, nic),
      undo: async ({ id, nic }: Adding, { services }) => {
        const vm = services.vms.byId(id);
        if (vm) await dropNic(vm, services, nic.id);
      },
    },
    {
      name: 'plug in the NIC',
      run: async ({ id, nic }: Adding, { services, signal }) => {
        const vm = services.vms.get(id);
        await plugIn(vm, services, nic.id, signal);
        const message = `${nic.id} in network ${nic.network} was added to ${vm.name}`;
        services.events.record({ type: 'nic.added', subject: id, name: vm.name, message });
      },
      undo: async ({ id, nic }: Adding, { services: { vms }, signal }) => {
        const vm = vms.byId(id);
        if (vm) await pullOut(vm, nic.id, signal).catch(() => {}); // its guest may never have seen it
      },
    },
  ],
  output: async ({ id, nic }: Adding, services) => nicView({ id, nic: nic.id }, services),
};

function check(vm: Vm): void {
  checkPlug(vm);
  if (vm.record.nics.length >= 16) throw new VivError('invalid', `cannot add a NIC to ${vm.name}: it has 16, the maximum`);
}

/** A guest knows its NICs by their MAC addresses. @throws in_use */
function checkMac({ name, record }: Vm, mac: string | null): void {
  const has = record.nics.find((one) => one.mac === mac);
  if (has)
    throw new VivError(
      'in_use',
      `the NIC ${has.id} of ${name} has the MAC address ${mac}; choose another one, or omit it to get a generated one`,
    );
}
