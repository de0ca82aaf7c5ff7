// A value in two bytes: whole numbers below 1,024 as they are, everything else as its logarithm, in thousandths of an octave, so that a millionth and
// 20 TB are both there within 0.04%. A value that is not known has a code of its own.

const absent = 0xffff;
/** Codes below this are whole numbers. */
const exact = 1024;
const perOctave = 1000;
/** Values below 2^-20 (a millionth) are stored as that. */
const lowestOctave = -20;

export function encodeValue(value: number | undefined): number {
  if (value === undefined || !Number.isFinite(value)) return absent;
  if (value <= 0) return 0;
  if (value < exact && Number.isInteger(value)) return value;
  return Math.min(absent - 1, Math.max(exact, Math.round((Math.log2(value) - lowestOctave) * perOctave) + exact));
}

/** To four digits, which is what is there. */
export function decodeValue(code: number): number | undefined {
  if (code === absent) return undefined;
  if (code < exact) return code;
  return Number((2 ** ((code - exact) / perOctave + lowestOctave)).toPrecision(4));
}
