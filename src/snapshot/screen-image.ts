// A small picture of a screen: from the PPM that QEMU writes to a PNG of thumbnail size. QEMU is not trusted: the file is checked against
// its own header. PPM, because compressing a PNG in QEMU would pause its guest.
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import { VivError } from '../contract/errors.ts';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, row by row. */
  readonly pixels: Uint8Array;
}

export const thumbnailSize = { width: 320, height: 200 } as const;
/** A screen of 5120 x 2880 has 42 MiB. */
export const longestScreenBytes = 48 * 2 ** 20;
/** Samples in each direction that a small pixel is the mean of. */
const samples = 4;

/** @throws corrupt where it is no PPM of 8 bits, or not as long as it says */
export function parsePpm(bytes: Uint8Array): Picture {
  const head = /^P6\n([1-9]\d{0,4}) ([1-9]\d{0,4})\n255\n/.exec(Buffer.from(bytes.subarray(0, 32)).toString('latin1'));
  if (!head) throw new VivError('corrupt', 'QEMU’s screen dump is not a PPM image');
  const width = Number(head[1]);
  const height = Number(head[2]);
  const pixels = bytes.subarray(head[0].length);
  if (pixels.length !== width * height * 3)
    throw new VivError('corrupt', `QEMU’s screen dump of ${width} x ${height} pixels has ${pixels.length} bytes`);
  return { width, height, pixels };
}

/** The picture, no larger than `most`, in its own proportions; as it is where it is small enough. */
export function fitted(picture: Picture, most: { width: number; height: number }): Picture {
  const { width: fromWidth, height: fromHeight, pixels: from } = picture;
  const scale = Math.max(fromWidth / most.width, fromHeight / most.height);
  if (scale <= 1) return picture;
  const width = Math.max(1, Math.floor(fromWidth / scale));
  const height = Math.max(1, Math.floor(fromHeight / scale));
  const pixels = new Uint8Array(width * height * 3);
  const sampled = (at: number, size: number, fromSize: number, nth: number) =>
    Math.min(fromSize - 1, Math.floor(((at + (nth + 0.5) / samples) * fromSize) / size));
  for (let y = 0; y < height; y++) {
    const rows = Array.from({ length: samples }, (_, nth) => sampled(y, height, fromHeight, nth) * fromWidth);
    for (let x = 0; x < width; x++) {
      const sums = [0, 0, 0] as [number, number, number];
      for (let nth = 0; nth < samples; nth++) {
        const column = sampled(x, width, fromWidth, nth);
        for (const row of rows) for (const part of [0, 1, 2] as const) sums[part] += from[(row + column) * 3 + part] ?? 0;
      }
      for (const part of [0, 1, 2] as const) pixels[(y * width + x) * 3 + part] = Math.round(sums[part] / samples ** 2);
    }
  }
  return { width, height, pixels };
}

/** True: one colour all over, so that there is nothing to see. */
export function isBlank({ pixels }: Picture): boolean {
  for (let at = 3; at < pixels.length; at++) if (pixels[at] !== pixels[at - 3]) return false;
  return true;
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const bitsPerPart = 8;
const trueColour = 2;

/** As a PNG (W3C, Portable Network Graphics). */
export async function toPng({ width, height, pixels }: Picture): Promise<Buffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitsPerPart, trueColour], 8);
  const lines = Buffer.alloc(height * (1 + width * 3)); // each begins with 0: not filtered
  for (let y = 0; y < height; y++) lines.set(pixels.subarray(y * width * 3, (y + 1) * width * 3), y * (1 + width * 3) + 1);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', await promisify(deflate)(lines)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}

/** Width and height of a PNG; null: it is none. */
export function pngSize(bytes: Buffer): { width: number; height: number } | null {
  if (bytes.length < 33 || !bytes.subarray(0, 8).equals(signature) || bytes.toString('latin1', 12, 16) !== 'IHDR') return null;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}
