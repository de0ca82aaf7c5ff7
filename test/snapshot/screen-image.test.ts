// Thumbnails: what QEMU writes is checked, made small, and is a PNG that others can read; the end of a serial log is plain text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { fitted, isBlank, type Picture, parsePpm, pngSize, toPng } from '../../src/snapshot/screen-image.ts';
import { lastLines } from '../../src/snapshot/thumbnail.ts';

const ppm = (head: string, length: number, fill = 7) => Buffer.concat([Buffer.from(head), Buffer.alloc(length, fill)]);
const striped = (width: number, height: number): Picture => ({
  ...{ width, height },
  pixels: Uint8Array.from({ length: width * height * 3 }, (_, at) => (Math.floor(at / 3 / width) % 2 === 0 ? 0 : 200)),
});

for (const [what, bytes] of [
  ['nothing', Buffer.alloc(0)],
  ['a PNG', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')],
  ['another depth', ppm('P6\n2 2\n65535\n', 24)],
  ['no size', ppm('P6\n0 2\n255\n', 0)],
  ['a size beyond reason', ppm('P6\n123456 2\n255\n', 12)],
  ['less than it says', ppm('P6\n2 2\n255\n', 11)],
  ['more than it says', ppm('P6\n2 2\n255\n', 13)],
] as const) {
  test(`${what} is no screen`, () => assert.throws(() => parsePpm(bytes), { code: 'corrupt' }));
}

test('a screen is read as it is', () => {
  const { width, height, pixels } = parsePpm(ppm('P6\n2 3\n255\n', 18));
  assert.deepEqual([width, height, [...pixels]], [2, 3, Array(18).fill(7)]);
});

test('whatever was written is a picture of its size or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, headed) => {
      try {
        const { width, height, pixels } = parsePpm(headed ? Buffer.concat([Buffer.from('P6\n2 2\n255\n'), bytes]) : bytes);
        assert.equal(pixels.length, width * height * 3);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'corrupt');
      }
    }),
  );
});

for (const [from, to] of [
  [
    [720, 400],
    [320, 177],
  ],
  [
    [1024, 768],
    [266, 200],
  ],
  [
    [320, 200],
    [320, 200],
  ],
  [
    [64, 48],
    [64, 48],
  ],
  [
    [9000, 2],
    [320, 1],
  ],
] as const) {
  test(`${from.join(' x ')} fits as ${to.join(' x ')}`, () => {
    const { width, height, pixels } = fitted(striped(from[0], from[1]), { width: 320, height: 200 });
    assert.deepEqual([width, height, pixels.length], [...to, width * height * 3]);
  });
}

test('a small pixel is the mean of what it stands for', () => {
  const { pixels } = fitted(striped(640, 400), { width: 320, height: 200 });
  assert.deepEqual(new Set(pixels), new Set([100]));
});

test('a picture becomes a PNG with the same pixels', async () => {
  const picture = striped(5, 4);
  const png = await toPng(picture);
  assert.deepEqual(pngSize(png), { width: 5, height: 4 });
  const length = png.readUInt32BE(33);
  assert.equal(png.toString('latin1', 37, 41), 'IDAT');
  const lines = inflateSync(png.subarray(41, 41 + length));
  const pixels = [0, 1, 2, 3].flatMap((y) => [...lines.subarray(y * 16 + 1, (y + 1) * 16)]);
  assert.deepEqual(pixels, [...picture.pixels]);
});

test('one colour all over is nothing to see', () => {
  assert.ok(isBlank({ width: 2, height: 2, pixels: new Uint8Array(12) }));
  assert.ok(!isBlank(striped(2, 2)));
});

test('of a serial log the last lines stay, without colours and other controls', () => {
  const log = `${Array.from({ length: 40 }, (_, nth) => `line ${nth}`).join('\r\n')}\r\n\x1b[1;31mred\x1b[0m\x07 \x1b]0;title\x07end\r\n10%\r50%\r\n\r\n${'x'.repeat(500)}`;
  const lines = lastLines(log).split('\n');
  assert.equal(lines.length, 25);
  assert.deepEqual(lines.slice(-5), ['line 39', 'red end', '50%', 'x'.repeat(160), '']);
});
