// Which subnets a home's networks get. None overlaps another's or what the host itself has a route to. Pure.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import { formatSubnet, overlap, type Subnet, subnetOf } from './address.ts';

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A private IPv4 subnet (RFC 1918). Where it begins to look follows from `seed`, so that the same home gets the same one again. */
export function freeIpv4(seed: string, prefix: number, taken: readonly Subnet[]): Subnet {
  const size = 2 ** (32 - prefix);
  const warmPools = [
    { first: 0x0a000000, bytes: 2 ** 24 },
    { first: 0xac100000, bytes: 2 ** 20 },
    { first: 0xc0a80000, bytes: 2 ** 16 },
  ];
  for (const { first, bytes } of warmPools) {
    const count = bytes / size;
    const start = hashOf(seed).readUInt32BE(0) % count;
    for (let step = 0; step < Math.min(count, 65_536); step++) {
      const subnet: Subnet = { family: 4, base: BigInt(first + ((start + step) % count) * size), prefix };
      if (!taken.some((other) => overlap(subnet, other))) return subnet;
    }
  }
  throw new VivError('unsupported', 'every private IPv4 subnet is in use on this host; choose one with --ipv4');
}

/** A /64 of the home's own unique local prefix (RFC 4193). */
export function freeIpv6(stateDirectory: string, seed: string, taken: readonly Subnet[]): Subnet {
  const prefix = (0xfdn << 40n) + BigInt(`0x${hashOf(stateDirectory).toString('hex', 0, 5)}`);
  const start = hashOf(seed).readUInt16BE(4);
  for (let step = 0; step < 65_536; step++) {
    const subnet: Subnet = { family: 6, base: ((prefix << 16n) + BigInt((start + step) % 65_536)) << 64n, prefix: 64 };
    if (!taken.some((other) => overlap(subnet, other))) return subnet;
  }
  throw new VivError('unsupported', 'every IPv6 subnet of this home is in use; choose one with --ipv6');
}

/** @throws invalid naming what it overlaps */
export function checkFree(subnet: Subnet, taken: readonly { readonly subnet: Subnet; readonly what: string }[]): void {
  const other = taken.find((one) => overlap(one.subnet, subnet));
  if (other)
    throw new VivError(
      'invalid',
      `${formatSubnet(subnet)} overlaps ${formatSubnet(other.subnet)}, ${other.what}; choose another one, or leave it out to have one chosen`,
    );
}

/** What a user asks for as a network's own. @throws invalid where it is none that VMs can be in */
export function askedSubnet(text: string, family: 4 | 6): Subnet {
  const subnet = subnetOf(text);
  if (subnet.family !== family || !text.includes('/'))
    throw new VivError(
      'invalid',
      `${text} is no IPv${family} subnet; give one such as ${family === 4 ? '10.1.2.0/24' : 'fd12:3456:789a::/64'}`,
    );
  if (family === 6 && subnet.prefix !== 64)
    throw new VivError('invalid', `${text} has ${subnet.prefix} bits; guests find their IPv6 addresses only in a subnet of 64`);
  if (family === 4 && (subnet.prefix < 8 || subnet.prefix > 29))
    throw new VivError('invalid', `${text} has ${subnet.prefix} bits; a network has between 8 and 29, so that there is room for VMs`);
  const first = Number(subnet.base >> 24n);
  if (family === 4 && (first === 0 || first === 127 || first >= 224))
    throw new VivError('invalid', `${text} is not for VMs: it is this host’s own, or for many receivers`);
  if (family === 4 && subnet.base >> 16n === 0xa9fen) throw new VivError('invalid', `${text} is not for VMs: it is of one link only`);
  if (family === 6 && (subnet.base >> 118n === 0b1111111010n || subnet.base >> 120n === 0xffn || subnet.base === 0n))
    throw new VivError('invalid', `${text} is not for VMs: it is of one link only, or for many receivers`);
  return subnet;
}
