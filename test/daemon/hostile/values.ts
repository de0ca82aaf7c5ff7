// Values for the requests of a document: what its schemas ask for, what they do not, and what breaks programs. The same seed makes the same values.

export type Schema = {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
};

export type Random = () => number;

/** mulberry32 */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = <T>(items: readonly T[], random: Random): T => items[Math.floor(random() * items.length)] as T;

const bidi = '\u202e\u2066\u200f';
const nested = (depth: number): unknown => (depth === 0 ? [] : [nested(depth - 1)]);

/** None of them is a path that exists, a URL that leads somewhere, or a program. */
const hostile: readonly unknown[] = [
  ...['', ' ', '\0', 'a\0b', '\n', '\r\nx: y', '\u001b[2J', bidi, `a${bidi}b`, '\ud800', '\ufeffa', 'é'.normalize('NFD'), '𝕏'.repeat(70)],
  ...[
    '../../../../nonexistent',
    '..%2f..%2fx',
    '/nonexistent/\0',
    '.',
    '..',
    '-',
    '--help',
    '-rf',
    '--',
    '$(false)',
    '`false`',
    ';false',
    '|false',
  ],
  ...[
    "' OR 1=1 --",
    '{{7*7}}',
    '$[7*7]',
    '%s%n%x',
    '%00',
    '%',
    '%zz',
    '\\',
    '"',
    '<script>alert(1)</script>',
    'null',
    'undefined',
    'NaN',
    'true',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'a'.repeat(64),
    'a'.repeat(5000),
    '9'.repeat(400),
    '٣',
    '1e309',
    '0x10',
    '01',
  ],
  ...[
    'http://[::1',
    'http://127.0.0.1:1/',
    'file:///nonexistent',
    'javascript:0',
    'a@b@c',
    '@',
    'a@',
    ':',
    '::',
    'a:b:c',
    '*',
    '?',
    '#',
    ',',
  ],
  ...[0, -0, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e308, -1e308, Number.MIN_VALUE],
  ...[true, false, null, [], {}, [[]], [null], [''], { a: {} }, { toString: 'x' }, { length: -1 }, nested(200), Array(2000).fill('a')],
];

export const hostileValue = (random: Random): unknown => pick(hostile, random);
/** For paths and queries. */
export const hostileText = (random: Random): string => {
  const value = hostileValue(random);
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** Names that exist or may come to exist on the host under test. */
const names = ['aa', 'bb', 'cc', 'nosuch'];

/** What the schema asks for, as far as a few words can tell. */
export function plausible(schema: Schema, random: Random): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return pick(schema.enum, random);
  if (schema.anyOf) return plausible(pick(schema.anyOf, random), random);
  const { minimum = 0, maximum = 100 } = schema;
  switch (schema.type) {
    case 'string':
      return pick(names, random);
    case 'integer':
    case 'number':
      return random() < 0.3
        ? minimum
        : random() < 0.3
          ? Math.min(maximum, Number.MAX_SAFE_INTEGER)
          : Math.floor(minimum + random() * Math.min(maximum - minimum, 100));
    case 'boolean':
      return random() < 0.5;
    case 'array':
      return Array.from({ length: Math.floor(random() * 3) }, () => plausible(schema.items ?? {}, random));
    case 'object': {
      const fields = Object.entries(schema.properties ?? {}).filter(([field]) => schema.required?.includes(field) || random() < 0.3);
      return Object.fromEntries(fields.map(([field, type]) => [field, plausible(type, random)]));
    }
    default:
      return null;
  }
}
