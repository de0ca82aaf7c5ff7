// IPv4 and IPv6 addresses and subnets as numbers: parsing, what overlaps, which address comes next. Pure.
import { isIPv4, isIPv6 } from 'node:net';
import { VivError } from '../../contract/errors.ts';

export interface Subnet {
  readonly family: 4 | 6;
  /** The first address. */
  readonly base: bigint;
  /** Length in bits. */
  readonly prefix: number;
}

const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** An IPv4 address, or an IPv6 one without a zone. */
export const isAddress = (text: string): boolean => isIPv4(text) || (isIPv6(text) && !text.includes('%'));

/** @throws invalid where it is not an address */
export function addressOf(text: string): { family: 4 | 6; value: bigint } {
  if (!isAddress(text)) throw new VivError('invalid', `${text} is not an IPv4 or IPv6 address`);
  if (isIPv4(text)) return { family: 4, value: text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
  return { family: 6, value: wide(text) };
}

function wide(text: string): bigint {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted ? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}` : text;
  const [head = '', tail] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return all.reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

/** Dotted, or with the longest run of zero groups compressed (RFC 5952). */
export function formatAddress(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  const runs = [
    ...groups
      .map((group) => (group === '0' ? '0' : '1'))
      .join('')
      .matchAll(/0{2,}/g),
  ];
  const longest = runs.sort((one, other) => other[0].length - one[0].length || one.index - other.index)[0];
  if (!longest) return groups.join(':');
  return `${groups.slice(0, longest.index).join(':')}::${groups.slice(longest.index + longest[0].length).join(':')}`;
}

/** `10.1.2.0/24`, also with an address inside it. @throws invalid */
export function subnetOf(text: string): Subnet {
  const [address = '', bits] = text.split('/');
  const { family, value } = addressOf(address);
  const prefix = bits === undefined ? bitsOf(family) : Number(bits);
  if (!/^\d{1,3}$/.test(bits ?? '0') || prefix > bitsOf(family))
    throw new VivError('invalid', `${text} is not a subnet; use a form such as 10.1.2.0/24 or fd12:3456:789a::/64`);
  const shift = BigInt(bitsOf(family) - prefix);
  return { family, base: (value >> shift) << shift, prefix };
}

export const formatSubnet = ({ family, base, prefix }: Subnet): string => `${formatAddress(family, base)}/${prefix}`;

const sizeOf = ({ family, prefix }: Subnet): bigint => 1n << BigInt(bitsOf(family) - prefix);

export const overlap = (one: Subnet, other: Subnet): boolean =>
  one.family === other.family && one.base < other.base + sizeOf(other) && other.base < one.base + sizeOf(one);

export function contains(subnet: Subnet, address: string): boolean {
  const { family, value } = addressOf(address);
  return family === subnet.family && value >= subnet.base && value < subnet.base + sizeOf(subnet);
}

/** The nth address of a subnet, from 0. */
export const nth = (subnet: Subnet, n: bigint): string => formatAddress(subnet.family, subnet.base + n);

/** How many addresses VMs can have: all but the network, gateway (the first) and broadcast addresses. */
export const hostCount = (subnet: Subnet): bigint => sizeOf(subnet) - 3n;

/** The address that a guest derives from its MAC address in a /64 (RFC 4291, modified EUI-64). */
export function fromMac(subnet: Subnet, mac: string): string {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const [first = 0, second = 0, third = 0, ...rest] = bytes;
  const low = [first ^ 2, second, third, 0xff, 0xfe, ...rest].reduce((sum, byte) => (sum << 8n) + BigInt(byte), 0n);
  return formatAddress(6, subnet.base + low);
}
