// Which subnets are in use on this host, and which are free for another network.

import { hostRoutes } from '../kernel/host-network.ts';
import { uplinkOnHost } from '../kernel/interface-names.ts';
import type { NetworkRecord } from '../record/network.ts';
import { formatSubnet, type Subnet, subnetOf } from './address.ts';
import { freeIpv4, freeIpv6 } from './subnet.ts';

export interface SubnetInUse {
  readonly subnet: Subnet;
  /** What uses it, for an error message. */
  readonly what: string;
}

/** Those of the networks and those that the host has a route to. @param ip path of the program */
export async function subnetsInUse(networks: readonly NetworkRecord[], stateDirectory: string, ip: string): Promise<SubnetInUse[]> {
  const own = networks.flatMap(({ name, ipv4, ipv6 }) =>
    [ipv4, ipv6].flatMap((text) => (text === null ? [] : [{ subnet: subnetOf(text), what: `the subnet of the network ${name}` }])),
  );
  const uplink = uplinkOnHost(stateDirectory);
  const routes = (await hostRoutes(ip)).filter(({ device }) => device !== uplink);
  return [...own, ...routes.map(({ subnet, device }) => ({ subnet, what: `which this host has a route to (dev ${device ?? 'none'})` }))];
}

/**
 * A free subnet of each family.
 * @param ipv4Prefix length of the IPv4 prefix
 * @throws unsupported where there is none
 */
export function freeSubnets(
  name: string,
  ipv4Prefix: number,
  stateDirectory: string,
  inUse: readonly SubnetInUse[],
): { ipv4: string; ipv6: string } {
  const taken = inUse.map(({ subnet }) => subnet);
  const seed = `${stateDirectory}\0${name}`;
  return { ipv4: formatSubnet(freeIpv4(seed, ipv4Prefix, taken)), ipv6: formatSubnet(freeIpv6(stateDirectory, seed, taken)) };
}
