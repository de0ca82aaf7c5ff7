// Subnets for new networks: none overlaps another network's or one that the host has a route to. Pure.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import { formatSubnet, overlap, type Subnet, subnetOf } from './address.ts';

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A free private IPv4 subnet (RFC 1918). @param seed the search starts at a place derived from it, so that a state directory tends to get the same one again @throws unsupported */
export function freeIpv4(seed: string, prefix: number, taken: readonly Subnet[]): Subnet {
  const size = 2 ** (32 - prefix);
  const blocks = [
    { first: 0x0a000000, bytes: 2 ** 24 },
    { first: 0xac100000, bytes: 2 ** 20 },
    { first: 0xc0a80000, bytes: 2 ** 16 },
  ];
  for (const { first, bytes } of blocks) {
    const count = bytes / size;
    const start = hashOf(seed).readUInt32BE(0) % count;
    for (let step = 0; step < Math.min(count, 65_536); step++) {
      const subnet: Subnet = { family: 4, base: BigInt(first + ((start + step) % count) * size), prefix };
      if (!taken.some((other) => overlap(subnet, other))) return subnet;
    }
  }
  throw new VivError('unsupported', 'no private IPv4 subnet is free on this host; choose one with --ipv4');
}

/** A free /64 of the state directory's unique local prefix (RFC 4193). @throws unsupported */
export function freeIpv6(stateDirectory: string, seed: string, taken: readonly Subnet[]): Subnet {
  const prefix = (0xfdn << 40n) + BigInt(`0x${hashOf(stateDirectory).toString('hex', 0, 5)}`);
  const start = hashOf(seed).readUInt16BE(4);
  for (let step = 0; step < 65_536; step++) {
    const subnet: Subnet = { family: 6, base: ((prefix << 16n) + BigInt((start + step) % 65_536)) << 64n, prefix: 64 };
    if (!taken.some((other) => overlap(subnet, other))) return subnet;
  }
  throw new VivError('unsupported', 'no IPv6 subnet of this state directory is free; choose one with --ipv6');
}

/** @throws invalid with the subnet that it overlaps */
export function checkFree(subnet: Subnet, taken: readonly { readonly subnet: Subnet; readonly what: string }[]): void {
  const other = taken.find((one) => overlap(one.subnet, subnet));
  if (other)
    throw new VivError(
      'invalid',
      `${formatSubnet(subnet)} overlaps ${formatSubnet(other.subnet)}, ${other.what}; choose another one, or omit it to get a free one`,
    );
}

/** A requested subnet. @throws invalid where VMs cannot use it */
export function askedSubnet(text: string, family: 4 | 6): Subnet {
  const subnet = subnetOf(text);
  if (subnet.family !== family || !text.includes('/'))
    throw new VivError(
      'invalid',
      `${text} is not an IPv${family} subnet; use a form such as ${family === 4 ? '10.1.2.0/24' : 'fd12:3456:789a::/64'}`,
    );
  if (family === 6 && subnet.prefix !== 64)
    throw new VivError('invalid', `${text} has a prefix of ${subnet.prefix} bits; IPv6 guests need a /64`);
  if (family === 4 && (subnet.prefix < 8 || subnet.prefix > 29))
    throw new VivError('invalid', `${text} has a prefix of ${subnet.prefix} bits; a network has between 8 and 29`);
  const first = Number(subnet.base >> 24n);
  if (family === 4 && (first === 0 || first === 127 || first >= 224))
    throw new VivError('invalid', `${text} cannot be used for VMs, because it is reserved or multicast`);
  if (family === 4 && subnet.base >> 16n === 0xa9fen)
    throw new VivError('invalid', `${text} cannot be used for VMs, because it is link-local`);
  if (family === 6 && (subnet.base >> 118n === 0b1111111010n || subnet.base >> 120n === 0xffn || subnet.base === 0n))
    throw new VivError('invalid', `${text} cannot be used for VMs, because it is link-local or multicast`);
  return subnet;
}
