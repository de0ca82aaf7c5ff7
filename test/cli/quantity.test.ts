// Sizes and durations, read and written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseBytes, parseDuration } from '../../src/cli/parse/quantity.ts';
import { formatBytes, formatDuration } from '../../src/cli/render/quantity.ts';
import { VivError } from '../../src/contract/errors.ts';

const refused = (error: unknown) =>
  error instanceof VivError && error.code === 'invalid' && !error.message.includes('\n') && error.message.length < 200;

test('sizes are binary, with or without the i and the B', () => {
  const table: [string, number][] = [
    ['0', 0],
    ['4096', 4096],
    ['512MiB', 512 * 2 ** 20],
    ['512M', 512 * 2 ** 20],
    ['512mb', 512 * 2 ** 20],
    ['2GiB', 2 * 2 ** 30],
    ['2G', 2 * 2 ** 30],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['1 TiB', 2 ** 40],
    ['10k', 10_240],
    ['7B', 7],
  ];
  for (const [text, bytes] of table) assert.equal(parseBytes(text), bytes, text);
});

test('what is no size is refused in one short sentence', () => {
  for (const text of ['', 'x', '-1', '1e9', '512 Mi B', '0x10', '1GiBs', '9999999999PiB', 'G', `1${'0'.repeat(10_000)}`, '1\n2', 'NaN'])
    assert.throws(() => parseBytes(text), refused, text.slice(0, 20));
});

test('durations have units, and a bare number is seconds', () => {
  const table: [string, number][] = [
    ['30s', 30_000],
    ['5m', 300_000],
    ['500ms', 500],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['10', 10_000],
    ['1m30s', 90_000],
    ['0.5s', 500],
    ['0', 0],
  ];
  for (const [text, ms] of table) assert.equal(parseDuration(text), ms, text);
  for (const text of ['', 's', '-1s', '5 m', '1m30', '1y', 'soon', '1s1', 'x'.repeat(10_000)])
    assert.throws(() => parseDuration(text), refused, text.slice(0, 20));
});

test('every whole number of bytes and milliseconds is read back as it was written', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => parseBytes(String(bytes)) === bytes));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 20 }),
      fc.constantFrom('K', 'M', 'G'),
      (count, unit) => parseBytes(`${count}${unit}iB`) === count * 2 ** ({ K: 10, M: 20, G: 30 }[unit] ?? 0),
    ),
  );
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (ms) => parseDuration(`${ms}ms`) === ms));
});

test('whatever is typed gives a safe number or a sentence', () => {
  const total = (parse: (text: string) => number) => (text: string) => {
    try {
      return Number.isSafeInteger(parse(text)) && parse(text) >= 0;
    } catch (error) {
      return refused(error);
    }
  };
  fc.assert(fc.property(fc.string({ unit: 'binary' }), total(parseBytes)));
  fc.assert(fc.property(fc.string(), total(parseDuration)));
});

test('what is shown is close to what is meant, and can be read again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => Math.abs(parseBytes(formatBytes(bytes)) - bytes) <= bytes * 0.051),
  );
  assert.equal(formatBytes(256 * 2 ** 20), '256 MiB');
  assert.equal(formatBytes(1.5 * 2 ** 30), '1.5 GiB');
  assert.equal(formatBytes(2 ** 30 - 1), '1 GiB');
  assert.equal(formatDuration(61_000), '1m 1s');
  assert.equal(formatDuration(3_600_000), '1h');
  assert.equal(formatDuration(90_061_000), '1d 1h');
  assert.equal(formatDuration(250), '250ms');
});
