// The addresses of a NIC in its network: the requested ones, or free ones. Pure.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { Nic } from '../model.ts';
import type { NetworkRecord } from '../record/network.ts';
import { addressOf, contains, formatAddress, formatSubnet, fromMac, hostCount, nth, type Subnet, subnetOf } from './address.ts';

/**
 * The NIC with its addresses.
 * @param others the network's other NICs and the names of their VMs
 * @param seed the search for a free IPv4 address starts at a place derived from it, so that the same NIC tends to get the same address
 * @throws in_use, invalid where a requested address or MAC address is not available
 */
export function allocate<N extends Nic>(
  nic: N,
  network: NetworkRecord,
  others: readonly { readonly nic: Nic; readonly vm: string }[],
  seed: string,
): N {
  const sameMac = others.find((other) => other.nic.mac === nic.mac);
  if (sameMac)
    throw new VivError(
      'in_use',
      `the MAC address ${nic.mac} is already used by ${sameMac.vm} in the network ${network.name}; choose another one`,
    );
  const taken = new Map(
    others.flatMap((other) =>
      [other.nic.ipv4, other.nic.ipv6].flatMap((address) => (address === null ? [] : [[address, other.vm] as const])),
    ),
  );
  const ipv4 =
    network.ipv4 === null ? rejectAddress(nic.ipv4, network, 4) : addressIn(nic.ipv4, subnetOf(network.ipv4), network, taken, seed);
  const ipv6 =
    network.ipv6 === null
      ? rejectAddress(nic.ipv6, network, 6)
      : addressIn(nic.ipv6 ?? fromMac(subnetOf(network.ipv6), nic.mac), subnetOf(network.ipv6), network, taken, '');
  return { ...nic, ipv4, ipv6 };
}

function rejectAddress(asked: string | null, { name }: NetworkRecord, family: 4 | 6): null {
  if (asked !== null) throw new VivError('invalid', `${asked} is not available in the network ${name}, which has no IPv${family} subnet`);
  return null;
}

/** The requested address, or a free one. */
function addressIn(
  asked: string | null,
  subnet: Subnet,
  { name }: NetworkRecord,
  taken: ReadonlyMap<string, string>,
  seed: string,
): string {
  if (asked !== null) {
    const { family, value } = addressOf(asked);
    const address = formatAddress(family, value);
    if (!contains(subnet, address))
      throw new VivError('invalid', `${address} is not in ${formatSubnet(subnet)}, the subnet of the network ${name}`);
    const own = value - subnet.base;
    if (own === 0n || own === 1n || (family === 4 && own === hostCount(subnet) + 2n))
      throw new VivError(
        'invalid',
        `${address} is reserved in the network ${name} (network, gateway or broadcast address); choose another address in ${formatSubnet(subnet)}`,
      );
    const holder = taken.get(address);
    if (holder !== undefined)
      throw new VivError(
        'in_use',
        `${address} is already used by ${holder} in the network ${name}; choose another one, or omit it to get a free one`,
      );
    return address;
  }
  const count = hostCount(subnet);
  const start = BigInt(createHash('sha256').update(seed).digest().readUInt32BE(0)) % count;
  for (let step = 0n; step < count; step++) {
    const address = nth(subnet, 2n + ((start + step) % count));
    if (!taken.has(address)) return address;
  }
  throw new VivError('in_use', `the network ${name} (${formatSubnet(subnet)}) has no free address; create another network, or remove VMs`);
}
