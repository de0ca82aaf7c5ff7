// Addresses as text that is safe in a script: read by the rules of node:net, written anew from their bits.
import { isIPv4, isIPv6 } from 'node:net';
import { VivError } from '../../contract/errors.ts';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** Written from the bits: one address has one text. */
  readonly text: string;
  /** Its bytes (IPv4) or its 16-bit words (IPv6). */
  readonly parts: readonly number[];
}

export interface Subnet {
  readonly family: Family;
  readonly text: string;
}

/** Read once: every change of the rules asks for the same ones. */
const read = new Map<string, Address>();
const locals = new Map<string, Address>();

export function address(text: string, what: string): Address {
  const known = read.get(text);
  if (known) return known;
  if (read.size > 50_000) read.clear();
  if (isIPv4(text)) return remembered(read, text, fromParts(4, bytes4(text)));
  if (isIPv6(text) && !text.includes('%')) return remembered(read, text, fromParts(6, words6(text)));
  throw new VivError('invalid', `${what} is not an IPv4 or IPv6 address: ${JSON.stringify(text)}`);
}

/** ADDRESS/LENGTH, or an address alone. Bits behind the length are cleared. */
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

/** True on its own link only. */
export function isLinkLocal({ family, parts }: Address): boolean {
  return family === 6 && ((parts[0] ?? 0) & 0xffc0) === 0xfe80;
}

/** An IPv6 address as one number, for comparing with raw bytes. */
export function hexadecimal({ parts }: Address): string {
  return `0x${parts.map((part) => part.toString(16).padStart(4, '0')).join('')}`;
}

/** Lower case with colons. */
export function mac(text: string, what: string): string {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new VivError('invalid', `${what} is not a MAC address: ${JSON.stringify(text)}`);
  return text.toLowerCase();
}

/** The link-local address that systems derive from a MAC (RFC 4291, appendix A). */
export function linkLocal(mac: string): Address {
  const known = locals.get(mac);
  if (known) return known;
  if (locals.size > 50_000) locals.clear();
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  return remembered(locals, mac, fromParts(6, [0xfe80, 0, 0, 0, ((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]));
}

function remembered(where: Map<string, Address>, text: string, address: Address): Address {
  where.set(text, address);
  return address;
}

function bytes4(text: string): number[] {
  return text.split('.').map(Number);
}

function words6(text: string): number[] {
  const plain = text.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes4(tail);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const [left, right] = [words(head), words(tail ?? '')];
  return [...left, ...(tail === undefined ? [] : new Array<number>(8 - left.length - right.length).fill(0)), ...right];
}

function fromParts(family: Family, parts: readonly number[]): Address {
  return { family, parts, text: family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':') };
}
