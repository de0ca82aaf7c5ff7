// The contract as plain data, for programs that start often: what the command line reads from a schema (kind, description,
// standard value, choices), without the schema library. The bundle of `viv` carries this table (scripts/plain-contract.ts makes
// it from the contract); the schemas themselves are loaded when something has to be refused with a reason.
import type { Operation } from './operation.ts';

/** What `flag.ts` reads from a schema, in the schema's own shape. */
export interface PlainSchema {
  readonly description?: string;
  readonly format?: string;
  /** Of an enum. */
  readonly options?: readonly unknown[];
  readonly def: {
    readonly type: string;
    readonly innerType?: PlainSchema;
    readonly in?: PlainSchema;
    readonly out?: PlainSchema;
    readonly element?: PlainSchema;
    readonly options?: readonly PlainSchema[];
    readonly defaultValue?: unknown;
  };
  /** Of a text all of whose rules are lengths and patterns: these. */
  readonly text?: { readonly min: number; readonly max: number | null; readonly patterns: readonly string[] };
}

export type PlainOperation = Omit<Operation, 'input' | 'output'> & { readonly shape: Readonly<Record<string, PlainSchema>> };
type Table<T> = Readonly<Record<string, Readonly<Record<string, T>>>>;

/** The table `operations` made from plain data; `load` brings the contract itself, once, when a schema is used. */
export function unfold(table: Table<PlainOperation>, load: () => Table<Operation>): Table<Operation> {
  const unfoldOne = (noun: string, verb: string, { shape, ...operation }: PlainOperation) => {
    const whole = () => load()[noun]?.[verb] as Operation;
    const input = {
      shape,
      safeParse: (value: unknown) => whole().input.safeParse(value),
      parse: (value: unknown) => whole().input.parse(value),
    };
    return Object.defineProperty({ ...operation, input }, 'output', { get: () => whole().output }) as unknown as Operation;
  };
  const verbs = (noun: string, of: Readonly<Record<string, PlainOperation>>) =>
    Object.fromEntries(Object.entries(of).map(([verb, operation]) => [verb, unfoldOne(noun, verb, operation)]));
  return Object.fromEntries(Object.entries(table).map(([noun, of]) => [noun, verbs(noun, of)]));
}

/** True where plain data is enough to say that the contract accepts `input`; false says nothing: the schema has to be asked. */
export function surelyFits(operation: Operation, input: Readonly<Record<string, unknown>>): boolean {
  const shape = operation.input.shape as unknown as Readonly<Record<string, PlainSchema>>;
  if (Object.keys(input).some((field) => !Object.hasOwn(shape, field))) return false;
  return Object.entries(shape).every(([field, schema]) => fits(schema, input[field]));
}

function fits(schema: PlainSchema, value: unknown): boolean {
  const { type, innerType } = schema.def;
  switch (type) {
    case 'optional':
    case 'default':
      return value === undefined || (innerType !== undefined && fits(innerType, value));
    case 'boolean':
      return typeof value === 'boolean';
    case 'enum':
      return schema.options?.includes(value) ?? false;
    case 'string': {
      const { text } = schema;
      if (text === undefined || typeof value !== 'string') return false;
      const long = value.length >= text.min && (text.max === null || value.length <= text.max);
      return long && text.patterns.every((pattern) => new RegExp(pattern).test(value));
    }
    default:
      return false;
  }
}
