// Records of networks and VMs as the room of the networks wants them (network/model.ts). Pure.

import { guardOf } from '../../vm/device/nics.ts';
import type { NicRecord, VmRecord } from '../../vm/record.ts';
import { nth, subnetOf } from '../address/address.ts';
import { bridgeMac, bridgeOf, tapOf } from '../kernel/interface-names.ts';
import type { NetworkSpec, PortSpec } from '../model.ts';
import type { NetworkRecord } from './network.ts';

export function specOf(record: NetworkRecord, stateDirectory: string): NetworkSpec {
  const { name, kind, ipv4, ipv6, interface: host, guarded, capacityBytesPerSecond, hostAccess } = record;
  const gateway = (text: string | null) => (text === null ? null : `${gatewayOf(text)}/${subnetOf(text).prefix}`);
  return {
    ...{
      name,
      kind,
      bridge: bridgeOf(name),
      mac: bridgeMac(stateDirectory, name),
      ipv4: gateway(ipv4),
      ipv6: gateway(ipv6),
      interface: host,
    },
    ...{ guarded, capacityBytesPerSecond, hostAccess },
  };
}

/** The first address of a subnet is the network's own. */
export const gatewayOf = (subnet: string): string => nth(subnetOf(subnet), 1n);

export function portOf({ id, name, warmPool }: VmRecord, nic: NicRecord, plugged: boolean): PortSpec {
  const { network, mac, ipv4, ipv6, up, vlan, trunk } = nic;
  return {
    tap: tapOf(id, nic.id),
    owner: id,
    network,
    // One that stands ready in a warm pool has no name of its own yet.
    vm: warmPool === null ? name : null,
    mac,
    ipv4,
    ipv6,
    up,
    vlan: vlan === null && trunk.length === 0 ? null : { access: vlan, trunk },
    plugged,
    guard: guardOf(nic),
  };
}
