// Addresses as text that is safe in a script: parsed, and formatted again from their bits.
import { VivError } from '../../contract/errors.ts';
import { addressOf, fromMac, isAddress, subnetOf } from '../address/address.ts';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** Canonical: one address has one text. */
  readonly text: string;
  /** Its bytes (IPv4) or its 16-bit words (IPv6). */
  readonly parts: readonly number[];
}

export interface Subnet {
  readonly family: Family;
  readonly text: string;
}

/** Cached: every change of the rules parses the same addresses. */
const read = new Map<string, Address>();
const locals = new Map<string, Address>();
const linkLocals = subnetOf('fe80::/64');

export function address(text: string, what: string): Address {
  const known = read.get(text);
  if (known) return known;
  if (read.size > 50_000) read.clear();
  if (!isAddress(text)) throw new VivError('invalid', `${what} is not an IPv4 or IPv6 address: ${JSON.stringify(text)}`);
  const { family, value } = addressOf(text);
  return cache(read, text, fromParts(family, family === 4 ? pieces(value, 4, 8) : pieces(value, 8, 16)));
}

/** ADDRESS/LENGTH, or an address. Bits beyond the length are cleared. */
export function subnet(text: string, what: string): Subnet {
  const [, plain, length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const { family, parts } = address(plain ?? text, what);
  const size = family === 4 ? 8 : 16;
  const kept = length === undefined ? parts.length * size : Number(length);
  if (kept > parts.length * size) throw new VivError('invalid', `${what} has a prefix longer than its address: ${JSON.stringify(text)}`);
  const masked = parts.map((part, at) => {
    const cleared = Math.min(size, Math.max(0, (at + 1) * size - kept));
    return (part >> cleared) << cleared;
  });
  return { family, text: `${fromParts(family, masked).text}/${kept}` };
}

/** Valid on its own link only. */
export function isLinkLocal({ family, parts }: Address): boolean {
  return family === 6 && ((parts[0] ?? 0) & 0xffc0) === 0xfe80;
}

/** An IPv6 address as one number, for comparison with raw payload. */
export function hexadecimal({ parts }: Address): string {
  return `0x${parts.map((part) => part.toString(16).padStart(4, '0')).join('')}`;
}

/** In lower case. */
export function mac(text: string, what: string): string {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new VivError('invalid', `${what} is not a MAC address: ${JSON.stringify(text)}`);
  return text.toLowerCase();
}

/** The link-local address that systems derive from a MAC (RFC 4291, appendix A). */
export function linkLocal(mac: string): Address {
  const known = locals.get(mac);
  if (known) return known;
  if (locals.size > 50_000) locals.clear();
  return cache(locals, mac, address(fromMac(linkLocals, mac), 'its link-local address'));
}

function cache(into: Map<string, Address>, text: string, address: Address): Address {
  into.set(text, address);
  return address;
}

/** Most significant first. */
const pieces = (value: bigint, count: number, bits: number): number[] =>
  Array.from({ length: count }, (_, at) => Number(BigInt.asUintN(bits, value >> BigInt((count - 1 - at) * bits))));

function fromParts(family: Family, parts: readonly number[]): Address {
  return { family, parts, text: family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':') };
}
