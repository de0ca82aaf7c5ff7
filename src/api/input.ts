// From a request to an operation's input: path, query and body become one object, parsed by the operation's schema.
// An error is one sentence in terms of the field.
import type { z } from 'zod';
import { sentenceOf } from '../contract/bound.ts';
import { VivError } from '../contract/errors.ts';
import type { Operation } from '../contract/operation.ts';

type Fields = Record<string, unknown>;
type Coerce = (value: string) => unknown;

export interface Input {
  /** True when the input has this field. */
  has(field: string): boolean;
  /** Throws VivError `invalid`. */
  parse(parts: { params?: unknown; query?: unknown; body?: unknown }): Fields;
}

export function inputOf(operation: Operation): Input {
  const schema = operation.input.strict();
  const shape = operation.input.shape as Record<string, z.ZodType>;
  const coercions = new Map(Object.entries(shape).map(([field, type]) => [field, coercion(type)]));
  const known = Object.keys(shape);
  return {
    has: (field) => coercions.has(field),
    parse({ params, query, body }) {
      const given: Fields = Object.create(null);
      const put = (field: string, value: unknown) => {
        if (field in given) throw new VivError('invalid', `${label(field)} is given twice: in the path and as a parameter. Give it once`);
        given[field] = value;
      };
      for (const [field, value] of Object.entries((params ?? {}) as Fields)) put(field, value);
      for (const [field, value] of Object.entries((query ?? {}) as Record<string, string | string[]>))
        put(field, fromText(field, value, coercions.get(field)));
      if (body !== undefined && body !== null) {
        if (typeof body !== 'object' || Array.isArray(body))
          throw new VivError('invalid', `${operation.id} takes a JSON object as its body`);
        for (const [field, value] of Object.entries(body)) put(field, value);
      }
      const parsed = schema.safeParse({ ...given });
      if (parsed.success) return parsed.data as Fields;
      throw new VivError('invalid', explain(operation.id, known, given, parsed.error.issues), {
        details: {
          fields: [...new Set(parsed.error.issues.map((issue) => issue.path.join('.').slice(0, 100)))].filter((field) => field !== ''),
        },
      });
    },
  };
}

interface Definition {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
}
const definition = (type: z.ZodType) => type._zod.def as unknown as Definition;

/** How a query's text becomes what the schema expects. Text that does not fit is left as it is: the schema refuses it. */
function coercion(type: z.ZodType): { list: boolean; one: Coerce } {
  const { type: kind, innerType, element } = definition(type);
  if (innerType) return coercion(innerType);
  if (kind === 'array' && element) return { list: true, one: coercion(element).one };
  if (kind === 'number') return { list: false, one: (text) => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text) };
  if (kind === 'boolean') return { list: false, one: (text) => (text === 'true' ? true : text === 'false' ? false : text) };
  if (kind === 'object' || kind === 'record') return { list: false, one: json };
  return { list: false, one: (text) => text };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function fromText(field: string, value: string | string[], how: { list: boolean; one: Coerce } | undefined): unknown {
  if (!how) return value;
  if (how.list) return (Array.isArray(value) ? value : [value]).map(how.one);
  if (Array.isArray(value)) throw new VivError('invalid', `${label(field)} is given ${value.length} times; give it once`);
  return how.one(value);
}

/** A field's name as the caller wrote it, safe to print. */
function label(field: string): string {
  return /^[\w.[\]-]{1,80}$/.test(field) ? field : JSON.stringify(field.length > 40 ? `${field.slice(0, 40)}…` : field);
}

function explain(id: string, known: readonly string[], given: Fields, issues: readonly z.core.$ZodIssue[]): string {
  const sentences = issues.slice(0, 5).map((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const names = issue.keys.slice(0, 5).map(label).join(', ');
      return `unknown ${issue.keys.length > 1 ? 'fields' : 'field'} ${names}; ${id} takes ${known.length > 0 ? known.join(', ') : 'no fields'}`;
    }
    const field = label(issue.path.join('.'));
    if (issue.code === 'invalid_type' && issue.path.length === 1 && given[String(issue.path[0])] === undefined)
      return `${field} is missing`;
    return `${field}: ${sentenceOf(issue)}`;
  });
  if (issues.length > 5) sentences.push(`and ${issues.length - 5} more`);
  return sentences.join('; ');
}
