// What the contract says of an operation's input, as fields of a form. The table is loaded when the first form opens.
import type { PlainSchema } from '../../../src/contract/plain.ts';

export type FieldKind = 'boolean' | 'choice' | 'bytes' | 'duration' | 'number' | 'text' | 'password' | 'long' | 'list' | 'pairs' | 'json';

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly help: string;
  readonly required: boolean;
  readonly standard: unknown;
  readonly choices: readonly string[];
  /** Null may be given: the value is taken away. */
  readonly nullable: boolean;
  readonly text: PlainSchema['text'];
}

export type Described = typeof import('virtual:contract')['default'][number];

let table: Promise<Map<string, Described>> | undefined;
export const loadContract = (): Promise<Map<string, Described>> => {
  table ??= import('virtual:contract').then(({ default: all }) => new Map(all.map((one) => [one.id, one])));
  return table;
};

export const fieldsOf = ({ shape }: Described): Field[] => Object.entries(shape).map(([name, schema]) => fieldOf(name, schema));

function fieldOf(name: string, outer: PlainSchema): Field {
  let schema = outer;
  let help = outer.description ?? '';
  let required = true;
  let nullable = false;
  let standard: unknown;
  for (;;) {
    help ||= schema.description ?? '';
    const { type, innerType, options, defaultValue } = schema.def;
    if (type === 'default') standard = defaultValue;
    if (type === 'default' || type === 'optional') required = false;
    if (type === 'nullable') nullable = true;
    // A query's spelling of a boolean or number is for URLs.
    const next = type === 'union' ? options?.find(({ def }) => def.type === 'boolean') : type === 'pipe' ? schema.def.out : innerType;
    if (!next) break;
    schema = next;
  }
  return {
    name,
    kind: kindOf(name, schema),
    help,
    required,
    nullable,
    standard,
    choices: (schema.options ?? []).map(String),
    text: schema.text,
  };
}

function kindOf(name: string, schema: PlainSchema): FieldKind {
  switch (schema.def.type) {
    case 'boolean':
      return 'boolean';
    case 'enum':
      return 'choice';
    case 'number':
    case 'int':
      return name.endsWith('Bytes') ? 'bytes' : name.endsWith('Ms') ? 'duration' : 'number';
    case 'array': {
      const element = schema.def.element?.def.type;
      return element === 'object' ? 'json' : 'list';
    }
    case 'record':
      return 'pairs';
    case 'object':
      return 'json';
    default:
      if (name === 'password' || name === 'current') return 'password';
      return name === 'userData' || name === 'networkConfig' ? 'long' : 'text';
  }
}

/** `removeOnStop` -> `Remove on stop`. */
export const wordsOf = (field: string): string => {
  const words = field
    .replace(/(Bytes|Ms)$/, '')
    .replace(/([A-Z])/g, ' $1')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
};
