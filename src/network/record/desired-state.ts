// From records to the desired state (network/model.ts). Pure.
import { nth, subnetOf } from '../address/address.ts';
import type { Attachments } from '../attachments.ts';
import { bridgeMac, bridgeOf, tapOf } from '../kernel/interface-names.ts';
import { type Desired, type ForwardSpec, isVirtual, type NetworkSpec, type Nic, type PortSpec, type VmPorts } from '../model.ts';
import type { NetworkRecord } from './network.ts';
import { type GroupRecord, securityGroup } from './security-group.ts';

/**
 * @param vms every VM, those that are about to be created as well
 * @param attachments whether a VM's taps are in use or are about to be, and by which process
 */
export function desiredState(
  { networks, groups, vms }: { networks: readonly NetworkRecord[]; groups: readonly GroupRecord[]; vms: Iterable<VmPorts> },
  attachments: Pick<Attachments, 'isAttached' | 'pidOf'>,
  forwardsOf: (vm: VmPorts) => readonly ForwardSpec[],
  stateDirectory: string,
): Desired {
  const known = new Set(networks.map(({ name }) => name));
  const inUse = new Set<string>();
  const ports: PortSpec[] = [];
  const forwards: ForwardSpec[] = [];
  for (const vm of vms) {
    const attached = attachments.isAttached(vm);
    const pid = attachments.pidOf(vm);
    if (attached) forwards.push(...forwardsOf(vm));
    for (const nic of vm.nics) {
      if (!isVirtual(nic) || !known.has(nic.network)) continue;
      if (attached) inUse.add(nic.network);
      ports.push(portSpec(vm, nic, attached, pid));
    }
  }
  return {
    networks: networks.filter(({ name }) => inUse.has(name)).map((network) => networkSpec(network, stateDirectory)),
    ports,
    groups: groups.map(securityGroup),
    forwards,
  };
}

function networkSpec(record: NetworkRecord, stateDirectory: string): NetworkSpec {
  const { name, ipv4, ipv6, createdAt: _, ...settings } = record;
  const gateway = (subnet: string | null) => (subnet === null ? null : `${gatewayOf(subnet)}/${subnetOf(subnet).prefix}`);
  return {
    ...settings,
    name,
    bridge: bridgeOf(name),
    mac: bridgeMac(stateDirectory, name),
    ipv4: gateway(ipv4),
    ipv6: gateway(ipv6),
  };
}

/** The first address of a subnet is the gateway's. */
export const gatewayOf = (subnet: string): string => nth(subnetOf(subnet), 1n);

function portSpec({ id, name, isPublished }: VmPorts, nic: Nic, attached: boolean, pid: number | null): PortSpec {
  const { network, mac, ipv4, ipv6, up, vlan, trunk, securityGroups, egress, rateIn, rateOut } = nic;
  return {
    tap: tapOf(id, nic.id),
    owner: id,
    network,
    vm: isPublished ? name : null,
    mac,
    ipv4,
    ipv6,
    up,
    vlan: vlan === null && trunk.length === 0 ? null : { access: vlan, trunk },
    attached,
    pid,
    rules: { securityGroups, egress, rateIn, rateOut },
  };
}
