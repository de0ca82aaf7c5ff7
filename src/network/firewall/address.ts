// Addresses as text that is safe in a script: read by the rules of node:net, written anew from their bits.
import { isIPv4, isIPv6 } from 'node:net';
import { VivError } from '../../contract/errors.ts';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** Written from the bits: one address has one text. */
  readonly text: string;
  readonly bits: bigint;
}

export interface Subnet {
  readonly family: Family;
  readonly text: string;
}

const width = { 4: 32n, 6: 128n } as const;

export function address(text: string, what: string): Address {
  if (isIPv4(text)) return fromBits(4, bits4(text));
  if (isIPv6(text) && !text.includes('%')) return fromBits(6, bits6(text));
  throw new VivError('invalid', `${what} is not an IPv4 or IPv6 address: ${JSON.stringify(text)}`);
}

/** ADDRESS/LENGTH, or an address alone. Bits behind the length are cleared. */
export function subnet(text: string, what: string): Subnet {
  const [, plain, length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const base = address(plain ?? text, what);
  const all = width[base.family];
  const kept = length === undefined ? all : BigInt(length);
  if (kept > all) throw new VivError('invalid', `${what} has a prefix longer than its address: ${JSON.stringify(text)}`);
  const mask = ((1n << kept) - 1n) << (all - kept);
  return { family: base.family, text: `${fromBits(base.family, base.bits & mask).text}/${kept}` };
}

/** Lower case with colons. */
export function mac(text: string, what: string): string {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new VivError('invalid', `${what} is not a MAC address: ${JSON.stringify(text)}`);
  return text.toLowerCase();
}

/** The link-local address that systems derive from a MAC (RFC 4291, appendix A). */
export function linkLocal(mac: string): Address {
  const [first = 0, ...rest] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const bytes = [first ^ 2, rest[0], rest[1], 0xff, 0xfe, rest[2], rest[3], rest[4]];
  return fromBits(
    6,
    bytes.reduce<bigint>((bits, byte) => (bits << 8n) | BigInt(byte ?? 0), 0xfe80n << 48n),
  );
}

function bits4(text: string): bigint {
  return text.split('.').reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
}

function bits6(text: string): bigint {
  const plain = text.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => {
    const bits = bits4(tail);
    return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':'));
  const [left, right] = [words(head), words(tail ?? '')];
  const zeros: string[] = tail === undefined ? [] : new Array(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].reduce((bits, word) => (bits << 16n) | BigInt(`0x${word}`), 0n);
}

function fromBits(family: Family, bits: bigint): Address {
  const size = family === 4 ? 8n : 16n;
  const parts = family === 4 ? 4 : 8;
  const values = Array.from({ length: parts }, (_, at) => (bits >> (size * BigInt(parts - 1 - at))) & ((1n << size) - 1n));
  return { family, bits, text: family === 4 ? values.join('.') : values.map((value) => value.toString(16)).join(':') };
}
