// What is said where a value is outside of what a field takes, in the field's own unit: a field's name ends with it.
// The schema library's words ("Too big: expected number to be <=256") are for programmers; a rule that has words of its own keeps them.

/** The part of a schema's complaint that this needs. */
export interface Complaint {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly origin?: string;
  readonly maximum?: number | bigint;
  readonly minimum?: number | bigint;
  readonly values?: readonly unknown[];
  readonly expected?: string;
}

/** One sentence without its subject: `it can be at most 256`. */
export function sentenceOf(complaint: Complaint): string {
  const { code, message } = complaint;
  if (code === 'invalid_value' && complaint.values && /^Invalid /.test(message)) return `it can be ${oneOf(complaint.values.map(String))}`;
  if (code === 'invalid_type' && complaint.expected && /^Invalid /.test(message)) return `it has to be ${article(complaint.expected)}`;
  if ((code !== 'too_big' && code !== 'too_small') || !/^Too (big|small)/.test(message)) return message;
  const bound = code === 'too_big' ? complaint.maximum : complaint.minimum;
  if (bound === undefined) return message;
  const most = code === 'too_big' ? 'at most' : 'at least';
  const limit = Number(bound);
  if (complaint.origin === 'string') return `it has ${most} ${limit} ${limit === 1 ? 'character' : 'characters'}`;
  if (complaint.origin === 'array') return `it takes ${most} ${limit}`;
  return `it can be ${most} ${inUnit(limit, String(complaint.path.findLast((key) => typeof key === 'string') ?? ''))}`;
}

const oneOf = (words: readonly string[]) => [words.slice(0, -1).join(', '), words.at(-1)].filter((part) => part !== '').join(' or ');

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};
const article = (expected: string) => kinds[expected] ?? `a ${expected}`;

/** In the largest unit of which it is a whole number: `500 MiB`. */
export const sizeText = (bytes: number): string => inUnit(bytes, 'bytes');

function inUnit(value: number, field: string): string {
  if (/bytes$/i.test(field))
    return largest(value, [
      [2 ** 40, 'TiB'],
      [2 ** 30, 'GiB'],
      [2 ** 20, 'MiB'],
      [2 ** 10, 'KiB'],
      [1, value === 1 ? 'byte' : 'bytes'],
    ]);
  if (/Ms$/.test(field))
    return largest(value, [
      [86_400_000, 'd'],
      [3_600_000, 'h'],
      [60_000, 'min'],
      [1000, 's'],
      [1, 'ms'],
    ]);
  return String(value);
}

/** In the largest unit of which it is a whole number. */
function largest(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, name] = units.find(([unit]) => value !== 0 && value % unit === 0) ?? [1, units.at(-1)?.[1]];
  return `${value / size} ${name}`;
}
