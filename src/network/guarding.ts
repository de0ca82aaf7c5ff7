// What the firewall is told of the networks and ports that are wanted. Pure; firewall/ makes rules of it.
import { formatSubnet, subnetOf } from './address.ts';
import type { FirewallModel, FirewallNetwork, FirewallPort, Tracking } from './firewall/model.ts';
import type { NetworkSpec, PortSpec, Wanted } from './model.ts';
import { jointInside, uplinkInside } from './names.ts';

export interface Surroundings {
  readonly tracking: Tracking;
  /** Whether anything leads out. */
  readonly outward: boolean;
  readonly hostAddresses: readonly string[];
}

export function firewallOf({ networks, ports }: Wanted, { tracking, outward, hostAddresses }: Surroundings): FirewallModel {
  return {
    tracking,
    uplink: outward ? { interface: uplinkInside, hostAddresses: hostAddresses.toSorted() } : null,
    networks: networks.map(networkOf),
    // In the same order for whichever daemon asks, so that the same rules are known to be the same.
    ports: ports
      .filter(({ plugged }) => plugged)
      .toSorted((one, other) => (one.tap < other.tap ? -1 : 1))
      .map(guardedPort),
    groups: [],
    hostAccess: [],
  };
}

function networkOf({ name, kind, bridge, ipv4, ipv6 }: NetworkSpec): FirewallNetwork {
  const own = [ipv4, ipv6].filter((text) => text !== null);
  return {
    name,
    kind,
    bridge,
    subnets: own.map((text) => formatSubnet(subnetOf(text))),
    gateways: own.map((text) => text.slice(0, text.indexOf('/'))),
    guarded: true,
    ...(kind === 'bridged' ? { outside: jointInside(name) } : {}),
  };
}

function guardedPort({ tap, owner, network, mac, ipv4, ipv6, vlan }: PortSpec): FirewallPort {
  return {
    name: tap,
    machine: owner,
    network,
    interface: tap,
    mac,
    addresses: [ipv4, ipv6].filter((address) => address !== null),
    groups: [],
    egress: { kind: 'all' },
    ...(vlan !== null && vlan.trunk.length > 0 ? { trunk: true } : {}),
  };
}
