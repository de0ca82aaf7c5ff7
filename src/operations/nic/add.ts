// `network.attach`: one more card for a machine; one that runs gets it at once.

import { VivError } from '../../contract/errors.ts';
import { openGuard } from '../../contract/nic.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { checkPlug, dropCard, enterCard, plugIn, pullOut } from '../../vm/device/nic-hotplug.ts';
import { guardOf, nicFrom } from '../../vm/device/nics.ts';
import type { NicRecord } from '../../vm/record.ts';
import type { Machine } from '../../vm/vm.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';
import { guardFrom } from './set-rules.ts';

interface Attaching extends OnMachine {
  nic: NicRecord;
}

export const handler: HandlerOf<'network.attach'> = {
  ...onMachine,
  prepare: async ({ vm, network, mac, address, vlan, trunk, ...asked }, { services: { machines } }): Promise<Attaching> => {
    const machine = machines.find(vm);
    const tags = [...(vlan === undefined ? [] : [`vlan=${vlan}`]), ...(trunk.length === 0 ? [] : [`trunk=${trunk.join('+')}`])];
    await machines.networks.chosen([[network, ...tags].join(',')]);
    check(machine);
    const guard = { ...openGuard, ...guardFrom(asked) };
    await machines.networks.checkGuard(guard);
    const wish = { network, mac: mac ?? null, addresses: address === undefined ? [] : [address], vlan: vlan ?? null, trunk, guard };
    checkMac(machine, wish.mac);
    const nic = nicFrom(wish, machine.id, machine.record.nics);
    // Asked for here already, so that nothing is begun that cannot be had.
    machines.networks.cards.placed({ ...machine.record, nics: [...machine.record.nics, nic] });
    machines.networks.cards.entered(machine.id);
    if (machine.live && nic.slot === null)
      throw new VivError('unsupported', `every slot of ${machine.name} for a card is taken; stop it first, or take another card away`);
    return { id: machine.id, name: machine.name, nic };
  },
  admit: async ({ id }: Attaching, { machines }) => {
    check(machines.get(id));
    return 'accept';
  },
  steps: [
    {
      name: 'choose its place',
      run: async ({ id, nic }: Attaching, { services: { machines } }) => {
        // What was before it in the queue may have taken the place.
        const { network, mac, ipv4, ipv6, vlan, trunk } = nic;
        const machine = machines.get(id);
        checkMac(machine, mac);
        const fresh = nicFrom({ network, mac, addresses: [], vlan, trunk, guard: guardOf(nic) }, id, machine.record.nics);
        return { nic: { ...fresh, ipv4, ipv6 } };
      },
    },
    {
      name: 'enter the card',
      run: ({ id, nic }: Attaching, { services: { machines } }) => enterCard(machines.get(id), machines, nic),
      undo: async ({ id, nic }: Attaching, { services: { machines } }) => {
        const machine = machines.byId(id);
        if (machine) await dropCard(machine, machines, nic.id);
      },
    },
    {
      name: 'plug it in',
      run: async ({ id, nic }: Attaching, { services: { machines, events }, signal }) => {
        const machine = machines.get(id);
        await plugIn(machine, machines, nic.id, signal);
        const message = `${machine.name} got the card ${nic.id} in the network ${nic.network}`;
        events.record({ type: 'network.attached', subject: id, name: machine.name, message });
      },
      undo: async ({ id, nic }: Attaching, { services: { machines }, signal }) => {
        const machine = machines.byId(id);
        if (machine) await pullOut(machine, nic.id, signal).catch(() => {}); // its guest may never have seen it
      },
    },
  ],
  output: outputView,
};

function check(machine: Machine): void {
  checkPlug(machine);
  if (machine.record.nics.length >= 16) throw new VivError('invalid', `${machine.name} has 16 cards, which is as many as there can be`);
}

/** A guest knows its cards by their MAC addresses. @throws in_use */
function checkMac({ name, record }: Machine, mac: string | null): void {
  const has = record.nics.find((one) => one.mac === mac);
  if (has)
    throw new VivError(
      'in_use',
      `the card ${has.id} of ${name} has the MAC address ${mac}; choose another one, or leave it out to have one made`,
    );
}
