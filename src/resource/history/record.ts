// One slot of a ring: which interval it is for, its values in two bytes each, and a checksum, so that a slot that was written in part
// (the host lost power) or long ago (the ring has come round) is not taken for one that is there.
//
//   0  u32  number of the interval: its beginning in ms since 1970, divided by the ring's step
//   4  u32  CRC-32 of the rest and of the number
//   8  u16  values
import { crc32 } from 'node:zlib';
import { decodeValue, encodeValue } from './value-code.ts';

const headBytes = 8;

export const recordBytes = (values: number): number => headBytes + values * 2;

export function writeRecord(buffer: Buffer, at: number, interval: number, values: readonly (number | undefined)[]): void {
  buffer.writeUInt32LE(interval, at);
  values.forEach((value, index) => {
    buffer.writeUInt16LE(encodeValue(value), at + headBytes + index * 2);
  });
  buffer.writeUInt32LE(checksum(buffer, at, values.length), at + 4);
}

/** Null: the slot is not for this interval, or is damaged. @param count how many values a slot has */
export function readRecord(buffer: Buffer, at: number, interval: number, count: number): (number | undefined)[] | null {
  if (at + recordBytes(count) > buffer.length || buffer.readUInt32LE(at) !== interval) return null;
  if (buffer.readUInt32LE(at + 4) !== checksum(buffer, at, count)) return null;
  return Array.from({ length: count }, (_, index) => decodeValue(buffer.readUInt16LE(at + headBytes + index * 2)));
}

/** The interval that a slot is for, whether or not it is the requested one; null where the slot is empty or damaged. */
export function intervalOf(buffer: Buffer, at: number, count: number): number | null {
  if (at + recordBytes(count) > buffer.length) return null;
  const interval = buffer.readUInt32LE(at);
  return interval !== 0 && buffer.readUInt32LE(at + 4) === checksum(buffer, at, count) ? interval : null;
}

const checksum = (buffer: Buffer, at: number, count: number): number =>
  crc32(buffer.subarray(at + headBytes, at + recordBytes(count)), crc32(buffer.subarray(at, at + 4)));
