// Frames written by hand, right in every checksum, so that only a rule can be why they are dropped.
import { isIPv4 } from 'node:net';
import { address } from '../../../src/network/firewall/address.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/[^0-9a-f]/gi, ''), 'hex');
const word = (value: number) => Buffer.from([value >> 8, value & 255]);

export function ipBytes(text: string): Buffer {
  const { family, parts } = address(text, 'a test’s address');
  return Buffer.concat(parts.map((part) => (family === 4 ? Buffer.from([part]) : word(part))));
}

export function frame(to: string, from: string, type: number, payload: Buffer): string {
  return Buffer.concat([bytes(to), bytes(from), word(type), payload, Buffer.alloc(Math.max(0, 46 - payload.length))]).toString('hex');
}

export function arp(operation: number, sender: { mac: string; ip: string }, target: { mac: string; ip: string }): Buffer {
  return Buffer.concat([
    bytes('000108000604'),
    word(operation),
    bytes(sender.mac),
    ipBytes(sender.ip),
    bytes(target.mac),
    ipBytes(target.ip),
  ]);
}

/** An IPv4 or IPv6 packet. @param before extension headers, each beginning with the number of the next @param protocol of the payload */
export function ip(
  from: string,
  to: string,
  protocol: number,
  payload: Buffer,
  before: readonly { kind: number; header: Buffer }[] = [],
): Buffer {
  const checksummed = protocol === 44 ? payload : withChecksum(from, to, protocol, payload);
  if (isIPv4(from)) {
    const whole = Buffer.concat([
      bytes('4500'),
      word(20 + payload.length),
      word(0),
      word(0x4000),
      Buffer.from([64, protocol]),
      word(0),
      ipBytes(from),
      ipBytes(to),
    ]);
    whole.writeUInt16BE(sum(whole), 10);
    return Buffer.concat([whole, checksummed]);
  }
  const chain = before.map(({ header }, at) => Buffer.concat([Buffer.from([before[at + 1]?.kind ?? protocol]), header]));
  const length = checksummed.length + chain.reduce((total, header) => total + header.length, 0);
  return Buffer.concat([
    bytes('60000000'),
    word(length),
    Buffer.from([before[0]?.kind ?? protocol, 255]),
    ipBytes(from),
    ipBytes(to),
    ...chain,
    checksummed,
  ]);
}

export function udp(from: number, to: number, data: Buffer): Buffer {
  return Buffer.concat([word(from), word(to), word(8 + data.length), word(0), data]);
}

/** A neighbour message (RFC 4861) about `target`, with the option that says whose MAC it is. */
export function neighbour(type: number, target: string, mac: string): Buffer {
  const option = type === 135 ? 1 : 2;
  return Buffer.concat([
    Buffer.from([type, 0]),
    word(0),
    bytes(type === 136 ? '60000000' : '00000000'),
    ipBytes(target),
    Buffer.from([option, 1]),
    bytes(mac),
  ]);
}

function withChecksum(from: string, to: string, protocol: number, payload: Buffer): Buffer {
  const at = { 6: 16, 17: 6, 58: 2, 1: 2 }[protocol];
  if (at === undefined) return payload;
  const whole = Buffer.from(payload);
  const pseudo =
    protocol === 1 ? Buffer.alloc(0) : Buffer.concat([ipBytes(from), ipBytes(to), word(0), word(payload.length), word(protocol)]);
  whole.writeUInt16BE(sum(Buffer.concat([pseudo, whole])), at);
  return whole;
}

function sum(data: Buffer): number {
  let total = 0;
  for (let at = 0; at < data.length; at += 2) total += (data[at] ?? 0) * 256 + (data[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return ~total & 0xffff;
}
