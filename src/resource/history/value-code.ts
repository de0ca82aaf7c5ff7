// A value in two bytes: its logarithm, in thousandths of an octave, so that 1e-6 and 50 TB are both there within 0.04%. 0 is exact, and a value
// that is not known has a code of its own.

const absent = 0xffff;
const zero = 0;
const perOctave = 1000;
/** Values below 2^-20 (a millionth) are stored as that. */
const lowestOctave = -20;

export function encodeValue(value: number | undefined): number {
  if (value === undefined || !Number.isFinite(value)) return absent;
  if (value <= 0) return zero;
  return Math.min(absent - 1, Math.max(1, Math.round((Math.log2(value) - lowestOctave) * perOctave) + 1));
}

/** To four digits, which is what is there. */
export function decodeValue(code: number): number | undefined {
  if (code === absent) return undefined;
  if (code === zero) return 0;
  return Number((2 ** ((code - 1) / perOctave + lowestOctave)).toPrecision(4));
}
