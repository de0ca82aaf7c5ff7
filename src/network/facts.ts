// What `viv host` says of networks.
import type { Capability } from './capability.ts';
import type { NetworkRecord } from './record/network.ts';

const userMode = 'NAT by QEMU itself: outbound connections only, no other VMs';

/**
 * @param namesProblem why the host does not resolve the names of VMs; null: it does
 */
export function networkFacts(
  capability: Capability,
  networks: readonly NetworkRecord[],
  namesProblem: string | null,
): { name: string; detail: string }[] {
  if (!capability.ok)
    return [{ name: 'user', detail: `${userMode}. It is the only network of VMs on this host, because ${capability.why}` }];
  const where = capability.asUser
    ? 'in a network namespace of this user, uplink through pasta'
    : 'in a network namespace of their own, uplink through the host';
  const limits = [
    ...capability.limits,
    ...(namesProblem === null ? [] : [namesProblem]),
    ...(capability.vlans ? [] : ['no VLANs, because this kernel has no bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)']),
  ];
  return [
    ...networks.map(({ name, kind, ipv4, ipv6 }) => ({ name, detail: [kind, ipv4, ipv6].filter((part) => part !== null).join(', ') })),
    { name: 'own', detail: [`networks ${where}`, ...limits].join('; ') },
    { name: 'user', detail: userMode },
  ];
}
