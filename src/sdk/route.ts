// Where the fields of an operation's input go: into the path, the query or the body. The API reads them from there.
import { VivError } from '../contract/errors.ts';
import type { Operation } from '../contract/operation.ts';

export interface Route {
  readonly method: string;
  readonly path: string;
  /** JSON for the body or the first frame; undefined when everything is in the path and the query. */
  readonly rest: Record<string, unknown> | undefined;
}

/** Fills the path from `input`; the remaining fields become the query or are handed back. */
export function route(operation: Operation, input: Record<string, unknown>): Route {
  const rest = { ...input };
  let path = operation.path.replace(/\{(\w+)\}/g, (_, field: string) => {
    const value = rest[field];
    delete rest[field];
    if (typeof value !== 'string' || value === '') throw new VivError('invalid', `${operation.id}: ${field} is missing`);
    return encodeURIComponent(value);
  });
  const inQuery = operation.method === 'GET' || operation.method === 'DELETE' || operation.transport === 'upload';
  if (operation.transport === 'socket' || !inQuery) return { method: operation.method, path, rest };
  const query = new URLSearchParams();
  for (const [field, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const item of value) query.append(field, String(item));
    else query.append(field, typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  const text = query.toString();
  if (text !== '') path += `?${text}`;
  return { method: operation.method, path, rest: undefined };
}
