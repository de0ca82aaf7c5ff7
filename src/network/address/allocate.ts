// The addresses of a NIC in its network: those that were asked for, or free ones. Pure.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import type { NicRecord } from '../../vm/record.ts';
import type { NetworkRecord } from '../record/network.ts';
import { addressOf, contains, formatAddress, formatSubnet, fromMac, hostCount, nth, type Subnet, subnetOf } from './address.ts';

/**
 * The NIC with its addresses. @param others NICs that are in the network, and whose they are. @param seed what the place to look for a free
 * one follows from
 * @throws in_use, invalid where an address or MAC address that was asked for cannot be had
 */
export function placed(
  nic: NicRecord,
  network: NetworkRecord,
  others: readonly { readonly nic: NicRecord; readonly vm: string }[],
  seed: string,
): NicRecord {
  const sameMac = others.find((other) => other.nic.mac === nic.mac);
  if (sameMac)
    throw new VivError('in_use', `${sameMac.vm} has the MAC address ${nic.mac} in the network ${network.name} already; choose another one`);
  const taken = new Map(
    others.flatMap((other) =>
      [other.nic.ipv4, other.nic.ipv6].flatMap((address) => (address === null ? [] : [[address, other.vm] as const])),
    ),
  );
  const ipv4 = network.ipv4 === null ? refuse(nic.ipv4, network, 4) : addressIn(nic.ipv4, subnetOf(network.ipv4), network, taken, seed);
  const ipv6 =
    network.ipv6 === null
      ? refuse(nic.ipv6, network, 6)
      : addressIn(nic.ipv6 ?? fromMac(subnetOf(network.ipv6), nic.mac), subnetOf(network.ipv6), network, taken, '');
  return { ...nic, ipv4, ipv6 };
}

function refuse(asked: string | null, { name }: NetworkRecord, family: 4 | 6): null {
  if (asked !== null)
    throw new VivError('invalid', `${asked} cannot be had in the network ${name}, which has no IPv${family} subnet of ours`);
  return null;
}

/** The address that was asked for, or a free one; where it begins to look follows from `seed`. */
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
      throw new VivError('invalid', `${address} is the network ${name}’s own; choose another address in ${formatSubnet(subnet)}`);
    const holder = taken.get(address);
    if (holder !== undefined)
      throw new VivError(
        'in_use',
        `${address} is taken by ${holder} in the network ${name}; choose another one, or leave it out to have one chosen`,
      );
    return address;
  }
  const count = hostCount(subnet);
  const start = BigInt(createHash('sha256').update(seed).digest().readUInt32BE(0)) % count;
  for (let step = 0n; step < count; step++) {
    const address = nth(subnet, 2n + ((start + step) % count));
    if (!taken.has(address)) return address;
  }
  throw new VivError(
    'in_use',
    `every address of the network ${name} (${formatSubnet(subnet)}) is taken; make another network, or remove VMs`,
  );
}
