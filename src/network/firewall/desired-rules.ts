// The firewall's model of the desired state. Pure.
import { isSubnet } from '../../contract/egress.ts';
import type { NicRules } from '../../contract/nic-spec.ts';
import type { Rate } from '../../contract/rate.ts';
import { formatSubnet, subnetOf } from '../address/address.ts';
import { bridgeUplinkInNamespace, uplinkInNamespace } from '../kernel/interface-names.ts';
import type { Desired, NetworkSpec, PortSpec } from '../model.ts';
import type * as firewall from './model.ts';
import type { FirewallModel, FirewallNetwork, FirewallPort, SecurityGroup, Tracking } from './model.ts';

export interface Environment {
  readonly tracking: Tracking;
  /** Whether there is an uplink. */
  readonly outward: boolean;
  readonly hostAddresses: readonly string[];
  /** The uplink is pasta. */
  readonly relayed: boolean;
}

export function firewallModel(
  { networks, ports, groups }: Desired,
  { tracking, outward, hostAddresses, relayed }: Environment,
): FirewallModel {
  const known = new Set(groups.map(({ name }) => name));
  const missing = [...new Set(ports.flatMap(({ attached, rules }) => (attached ? rules.securityGroups : [])))].filter(
    (name) => !known.has(name),
  );
  return {
    ...(relayed ? { relayed } : {}),
    tracking,
    uplink: outward ? { interface: uplinkInNamespace, hostAddresses: hostAddresses.toSorted() } : null,
    networks: networks.map(networkModel),
    // In a fixed order, so that equal rules have the same digest.
    ports: ports
      .filter(({ attached }) => attached)
      .toSorted((one, other) => (one.tap < other.tap ? -1 : 1))
      .map(portModel),
    groups: [...groups, ...missing.map(closedGroup)].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    hostAccess: networks.flatMap(({ name, hostAccess }) =>
      hostAccess.map(({ protocol, ports: range, address }) => ({
        network: name,
        protocol,
        ports: range,
        ...(address === null ? {} : { address }),
      })),
    ),
  };
}

/** In place of a group that does not exist: denies everything. */
const closedGroup = (name: string): SecurityGroup => ({ name, rules: [], otherwise: { in: 'deny', out: 'deny' } });

function networkModel({ name, kind, bridge, ipv4, ipv6, spoofing, linkLocal, capacityBytesPerSecond }: NetworkSpec): FirewallNetwork {
  const own = [ipv4, ipv6].filter((text) => text !== null);
  return {
    name,
    kind,
    bridge,
    subnets: own.map((text) => formatSubnet(subnetOf(text))),
    gateways: own.map((text) => text.slice(0, text.indexOf('/'))),
    spoofing,
    linkLocal,
    ...(capacityBytesPerSecond === null ? {} : { capacityBytesPerSecond }),
    ...(kind === 'bridged' ? { outside: bridgeUplinkInNamespace(name) } : {}),
  };
}

function portModel({ tap, owner, network, mac, ipv4, ipv6, vlan, rules }: PortSpec): FirewallPort {
  return {
    name: tap,
    vm: owner,
    network,
    interface: tap,
    mac,
    addresses: [ipv4, ipv6].filter((address) => address !== null),
    groups: rules.securityGroups,
    egress: egressOf(rules),
    ...(rules.rateIn === null ? {} : { toGuest: rateOf(rules.rateIn) }),
    ...(rules.rateOut === null ? {} : { fromGuest: rateOf(rules.rateOut) }),
    ...(vlan !== null && vlan.trunk.length > 0 ? { trunk: true } : {}),
  };
}

function egressOf({ egress }: NicRules): firewall.Egress {
  if (egress === null) return { kind: 'all' };
  if (egress.length === 0) return { kind: 'none' };
  return { kind: 'listed', cidrs: egress.filter(isSubnet), domains: egress.filter((item) => !isSubnet(item)) };
}

const rateOf = ({ bytesPerSecond, burstBytes }: Rate): firewall.Rate => ({
  bytesPerSecond,
  ...(burstBytes === null ? {} : { burstBytes }),
});
