// Flags and arguments from an operation's input: `memoryBytes` -> `--memory SIZE`, `timeoutMs` -> `--timeout TIME`,
// enums are choices, arrays are repeatable, booleans take no value. Nothing here knows a particular operation.
import type { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import type { Operation } from '../../contract/operation.ts';
import { quote } from '../render/text.ts';
import { parseBytes, parseDuration } from './quantity.ts';

export type FlagKind = 'boolean' | 'bytes' | 'duration' | 'integer' | 'number' | 'choice' | 'text' | 'pairs';

/** One `--flag`. */
export interface Flag {
  /** Without dashes: `memory`. */
  readonly name: string;
  /** Where its value goes: the input's field, or the flag's own name for flags of the command line alone. */
  readonly field: string;
  readonly kind: FlagKind;
  readonly help: string;
  readonly short?: string;
  /** What stands for the value in the help: `SIZE`. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly repeat?: boolean;
  /** What counts when it is left out, for the help. */
  readonly standard?: string;
}

/** One argument given by position. */
export interface Argument {
  readonly field: string;
  /** As the help shows it: `VM`. */
  readonly label: string;
  readonly help: string;
  readonly optional: boolean;
  readonly several: boolean;
  /** Its words may be given without quotes around all of them. */
  readonly words?: boolean;
}

interface Shape {
  readonly schema: z.ZodType;
  readonly help: string;
  readonly standard: unknown;
}

/** The schema under optional, default and pipe; the description is the outermost one. */
function unwrap(outer: z.ZodType): Shape {
  let schema = outer;
  let help = outer.description;
  let standard: unknown;
  for (;;) {
    help ??= schema.description;
    const def = schema.def as unknown as {
      type: string;
      innerType?: z.ZodType;
      in?: z.ZodType;
      out?: z.ZodType;
      defaultValue?: unknown;
      options?: z.ZodType[];
    };
    if (def.type === 'default') standard = def.defaultValue;
    // A query's spelling of a boolean or number is for URLs; the command line means the other side.
    const next =
      def.type === 'union' ? def.options?.find((option) => option.def.type === 'boolean') : def.type === 'pipe' ? def.out : def.innerType;
    if (next === undefined) return { schema, help: help ?? '', standard };
    schema = next;
  }
}

const units: readonly (readonly [string, FlagKind, string])[] = [
  ['Bytes', 'bytes', 'SIZE'],
  ['Ms', 'duration', 'TIME'],
];

/** `removeOnStop` -> `remove-on-stop`. */
export const kebab = (field: string) => field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The flag of one field; null where its shape cannot be written on a command line (objects). */
export function flagOf(field: string, outer: z.ZodType, desired?: string, short?: string, without?: string): Flag | null {
  const { schema, help, standard } = unwrap(outer);
  const element = schema.def.type === 'array' ? unwrap((schema.def as unknown as { element: z.ZodType }).element).schema : null;
  const base = element ?? schema;
  const unit = units.find(([ending]) => field.endsWith(ending) && base.def.type === 'number');
  const stem = unit ? field.slice(0, -unit[0].length) : element ? field.replace(/s$/, '') : field;
  const kind = unit?.[1] ?? kindOf(base);
  if (kind === null) return null;
  const choices = kind === 'choice' ? (base as z.ZodEnum).options.map(String) : undefined;
  const repeat = element !== null || kind === 'pairs';
  const name = desired ?? kebab(stem);
  const value =
    kind === 'boolean'
      ? undefined
      : (unit?.[2] ??
        (choices ? choices.join('|') : kind === 'pairs' ? 'KEY=VALUE' : kind === 'text' ? (desired ?? kebab(stem)).toUpperCase() : 'N'));
  const said = sayStandard(kind, standard);
  return {
    name,
    field,
    kind,
    help: without ?? help,
    ...(short ? { short } : {}),
    ...(value ? { value } : {}),
    ...(choices ? { choices } : {}),
    ...(repeat ? { repeat } : {}),
    ...(said ? { standard: said } : {}),
  };
}

function kindOf(schema: z.ZodType): FlagKind | null {
  switch (schema.def.type) {
    case 'boolean':
      return 'boolean';
    case 'enum':
      return 'choice';
    case 'string':
    case 'union':
      return 'text';
    case 'number':
      return (schema as z.ZodNumber).format?.includes('int') ? 'integer' : 'number';
    case 'record':
      return 'pairs';
    default:
      return null;
  }
}

function sayStandard(kind: FlagKind, standard: unknown): string | undefined {
  if (standard === undefined || standard === false || (typeof standard === 'object' && Object.keys(standard as object).length === 0))
    return undefined;
  if (kind === 'bytes' && typeof standard === 'number')
    return standard % 2 ** 20 === 0 ? `${standard / 2 ** 20}MiB` : standard % 1024 === 0 ? `${standard / 1024}KiB` : String(standard);
  if (kind === 'duration' && typeof standard === 'number')
    return standard % 60_000 === 0 ? `${standard / 60_000}m` : standard % 1000 === 0 ? `${standard / 1000}s` : `${standard}ms`;
  return Array.isArray(standard) ? standard.join(',') : String(standard);
}

/** What stands for it in help: a VM is called by its name, and where it gets another, that is the new one. */
const labelOf = (field: string, operation: Operation) =>
  field === 'vm' ? 'NAME' : field === 'name' && 'vm' in operation.input.shape ? 'NEW-NAME' : kebab(field).toUpperCase();

/** The positional arguments of an operation, from its hint. */
export function argumentsOf(operation: Operation): Argument[] {
  return (operation.cli?.args ?? []).map((given) => {
    const field = given.replace(/[?.+]+$/, '');
    const schema = operation.input.shape[field] as z.ZodType | undefined;
    const several = given.endsWith('...');
    return {
      field,
      label: labelOf(several && takesList(operation, field) ? field.replace(/s$/, '') : field, operation),
      help: schema ? unwrap(schema).help : '',
      optional: given.endsWith('?'),
      several,
      ...(given.endsWith('+') ? { words: true } : {}),
    };
  });
}

/** True where a field is a list: all that is given for it goes into one call. */
export function takesList(operation: Operation, field: string): boolean {
  const schema = operation.input.shape[field] as z.ZodType | undefined;
  return schema !== undefined && unwrap(schema).schema.def.type === 'array';
}

/** The flags of an operation: every field that is not given by position and can be written as a flag. */
export function flagsOf(operation: Operation, without: readonly string[] = []): Flag[] {
  const hint = operation.cli;
  const positional = new Set((hint?.args ?? []).map((given) => given.replace(/[?.+]+$/, '')));
  const flags: Flag[] = [];
  for (const [field, schema] of Object.entries(operation.input.shape)) {
    const desired = hint?.flags?.[field];
    if (positional.has(field) || desired === false || without.includes(field)) continue;
    const flag = flagOf(field, schema as z.ZodType, desired, hint?.short?.[field], hint?.without?.[field]);
    if (flag) flags.push(flag);
  }
  return flags;
}

/** One value of a flag from its text; throws `invalid` with a sentence that names the flag. */
export function parseValue(flag: Pick<Flag, 'name' | 'kind' | 'choices'>, text: string, as = `--${flag.name}`): unknown {
  switch (flag.kind) {
    case 'bytes':
      return explain(as, () => parseBytes(text));
    case 'duration':
      return explain(as, () => parseDuration(text));
    case 'integer':
    case 'number': {
      const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
      if (Number.isNaN(number) || (flag.kind === 'integer' && !Number.isSafeInteger(number)))
        throw new VivError('invalid', `${as}: ${quote(text)} is not a ${flag.kind === 'integer' ? 'whole number' : 'number'}`);
      return number;
    }
    case 'choice':
      if (!flag.choices?.includes(text)) throw new VivError('invalid', `${as}: ${quote(text)} is not one of ${flag.choices?.join(', ')}`);
      return text;
    case 'boolean':
      if (/^(true|yes|on|1)$/.test(text)) return true;
      if (/^(false|no|off|0)$/.test(text)) return false;
      throw new VivError('invalid', `${as}: ${quote(text)} is neither true nor false`);
    case 'pairs': {
      const at = text.indexOf('=');
      if (at < 1) throw new VivError('invalid', `${as}: ${quote(text)} is not KEY=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }
    case 'text':
      return text;
  }
}

function explain<T>(as: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof VivError ? new VivError(error.code, `${as}: ${error.message}`, { cause: error }) : error;
  }
}

/** All texts that were given for a flag, as the value of its field. Choices may also be written with commas. */
export function parseFlag(flag: Flag, texts: readonly string[], as?: string): unknown {
  if (flag.repeat !== true) return parseValue(flag, texts.at(-1) ?? '', as);
  const pieces = flag.kind === 'choice' ? texts.flatMap((text) => text.split(',')).filter((text) => text !== '') : texts;
  const values = pieces.map((text) => parseValue(flag, text, as));
  return flag.kind === 'pairs' ? Object.fromEntries(values as [string, unknown][]) : values;
}
