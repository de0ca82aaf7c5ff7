// From what was typed to what is sent. Only what the daemon could not read at all is refused here; it checks the rest.
import { parseBytes, parseDuration } from '../ui/format.ts';
import type { Field } from './contract.ts';

export type Values = Readonly<Record<string, unknown>>;

export interface Read {
  readonly input: Record<string, unknown>;
  readonly errors: Record<string, string>;
}

export function readValues(fields: readonly Field[], values: Values, fixed: Values): Read {
  const input: Record<string, unknown> = { ...fixed };
  const errors: Record<string, string> = {};
  for (const field of fields) {
    const value = values[field.name];
    if (value === undefined || field.name in fixed) continue;
    const read = readValue(field, value);
    if (read === null) errors[field.name] = field.help;
    else input[field.name] = read;
  }
  return { input, errors };
}

function readValue({ kind }: Field, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (kind === 'bytes') return parseBytes(value);
  if (kind === 'duration') return parseDuration(value);
  if (kind !== 'json' && kind !== 'pairs') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return null;
  }
}
