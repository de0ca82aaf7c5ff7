// What the firewall is told of the networks and ports that are wanted. Pure; firewall/ makes rules of it.
import { isSubnet } from '../../contract/egress.ts';
import type { NicGuard } from '../../contract/nic-spec.ts';
import type { Rate } from '../../contract/rate.ts';
import { formatSubnet, subnetOf } from '../address/address.ts';
import { bridgeUplinkInside, uplinkInside } from '../kernel/interface-names.ts';
import type { Desired, NetworkSpec, PortSpec } from '../model.ts';
import type * as firewall from './model.ts';
import type { FirewallModel, FirewallNetwork, FirewallPort, SecurityGroup, Tracking } from './model.ts';

export interface Surroundings {
  readonly tracking: Tracking;
  /** Whether anything leads out. */
  readonly outward: boolean;
  readonly hostAddresses: readonly string[];
  /** An ordinary user's way out. */
  readonly relayed: boolean;
}

export function firewallOf(
  { networks, ports, groups }: Desired,
  { tracking, outward, hostAddresses, relayed }: Surroundings,
): FirewallModel {
  const known = new Set(groups.map(({ name }) => name));
  const lost = [...new Set(ports.flatMap(({ plugged, guard }) => (plugged ? guard.securityGroups : [])))].filter(
    (name) => !known.has(name),
  );
  return {
    ...(relayed ? { relayed } : {}),
    tracking,
    uplink: outward ? { interface: uplinkInside, hostAddresses: hostAddresses.toSorted() } : null,
    networks: networks.map(networkOf),
    // In the same order for whichever daemon asks, so that the same rules are known to be the same.
    ports: ports
      .filter(({ plugged }) => plugged)
      .toSorted((one, other) => (one.tap < other.tap ? -1 : 1))
      .map(guardedPort),
    groups: [...groups, ...lost.map(closed)].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
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

/** What is left of a group that is not there: nothing passes. */
const closed = (name: string): SecurityGroup => ({ name, rules: [], otherwise: { in: 'deny', out: 'deny' } });

function networkOf({ name, kind, bridge, ipv4, ipv6, guarded, capacityBytesPerSecond }: NetworkSpec): FirewallNetwork {
  const own = [ipv4, ipv6].filter((text) => text !== null);
  return {
    name,
    kind,
    bridge,
    subnets: own.map((text) => formatSubnet(subnetOf(text))),
    gateways: own.map((text) => text.slice(0, text.indexOf('/'))),
    guarded,
    ...(capacityBytesPerSecond === null ? {} : { capacityBytesPerSecond }),
    ...(kind === 'bridged' ? { outside: bridgeUplinkInside(name) } : {}),
  };
}

function guardedPort({ tap, owner, network, mac, ipv4, ipv6, vlan, guard }: PortSpec): FirewallPort {
  return {
    name: tap,
    vm: owner,
    network,
    interface: tap,
    mac,
    addresses: [ipv4, ipv6].filter((address) => address !== null),
    groups: guard.securityGroups,
    egress: egressOf(guard),
    ...(guard.rateIn === null ? {} : { toGuest: rateOf(guard.rateIn) }),
    ...(guard.rateOut === null ? {} : { fromGuest: rateOf(guard.rateOut) }),
    ...(vlan !== null && vlan.trunk.length > 0 ? { trunk: true } : {}),
  };
}

function egressOf({ egress }: NicGuard): firewall.Egress {
  if (egress === null) return { kind: 'all' };
  if (egress.length === 0) return { kind: 'none' };
  return { kind: 'listed', cidrs: egress.filter(isSubnet), domains: egress.filter((item) => !isSubnet(item)) };
}

const rateOf = ({ bytesPerSecond, burstBytes }: Rate): firewall.Rate => ({
  bytesPerSecond,
  ...(burstBytes === null ? {} : { burstBytes }),
});
