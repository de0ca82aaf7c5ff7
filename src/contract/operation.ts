// How an operation is declared. Everything else (HTTP routes, OpenAPI, SDK methods, commands, audit) derives from it.
import type { z } from 'zod';
import { type ErrorCode, errorCodes } from './errors.ts';

export type Role = 'viewer' | 'operator' | 'admin';
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * How input and output travel.
 * - `json`: one document in, one document out.
 * - `events`: server-sent events; `output` is the shape of one event.
 * - `socket`: a WebSocket. Path parameters are in the URL; the first text frame the client sends is the rest of `input`
 *   as JSON. After that see contract/stream.ts.
 * - `upload`: input in path and query, the body is a stream of bytes, the answer one document.
 * - `download`: input in path and query, the answer is a stream of bytes.
 */
export type Transport = 'json' | 'events' | 'socket' | 'upload' | 'download';

/** How the operation appears on the command line. Flags derive from the input's fields. */
export interface CliHint {
  /** Words of the command, `image ls`. */
  command: string;
  /** Input fields given by position, in order; `vm...` takes several (one call each), `name?` is optional, `rule+` is a text of several words. */
  args?: readonly string[];
  /** Field -> flag where the derived one is not wanted (`removeOnStop: 'rm'`), or `false` to leave it out. */
  flags?: Readonly<Record<string, string | false>>;
  /** Field -> what `--no-…` does: for one that is true when it is left out. */
  without?: Readonly<Record<string, string>>;
  /** Field -> one-letter flag. */
  short?: Readonly<Record<string, string>>;
  /** A question asked on a terminal before it acts; `--yes` answers. `{vm}` is replaced by the argument. */
  confirm?: string;
  /** True where src/cli/commands has a hand-written command for it (terminal attach and the like). */
  custom?: boolean;
}

export interface Operation<
  Id extends string = string,
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodType = z.ZodType,
  T extends Transport = Transport,
  K extends boolean = boolean,
> {
  readonly id: Id;
  readonly method: Method;
  /** `/v1/vms/{vm}`: names in braces are fields of `input`. */
  readonly path: string;
  /** One sentence without a full stop; the command's help and OpenAPI's summary. */
  readonly summary: string;
  readonly input: I;
  readonly output: O;
  /** What it can fail with, besides what any operation of its kind can (`errorsOf`). */
  readonly errors: readonly ErrorCode[];
  readonly role: Role;
  readonly transport: T;
  /** True: it changes something, runs as a task with journalled steps, and a caller may choose not to wait for it. */
  readonly task: K;
  readonly cli?: CliHint;
}

type Given<Id extends string, I extends z.ZodObject, O extends z.ZodType, T extends Transport, K extends boolean> = Omit<
  Operation<Id, I, O, T, K>,
  'transport' | 'task'
> & { transport?: T; task?: K };

export function defineOperation<
  const Id extends string,
  I extends z.ZodObject,
  O extends z.ZodType,
  const T extends Transport = 'json',
  const K extends boolean = false,
>(given: Given<Id, I, O, T, K>): Operation<Id, I, O, T, K> {
  return { transport: 'json' as T, task: false as K, ...given };
}

/** What the handler receives (defaults filled in). */
export type InputOf<Op extends Operation> = z.output<Op['input']>;
/** What the caller gives (fields with defaults may be left out). */
export type CallInputOf<Op extends Operation> = z.input<Op['input']>;
export type OutputOf<Op extends Operation> = z.output<Op['output']>;

/** Every code an operation can fail with: its own, and those that come of how it is called. In the order of errorCodes. */
export function errorsOf({ errors, method, transport, task }: Operation): ErrorCode[] {
  const all = new Set<ErrorCode>([...errors, 'invalid', 'unauthenticated', 'forbidden', 'cancelled', 'unavailable', 'internal']);
  if (transport === 'json' && method !== 'GET') all.add('too_large'); // its body
  if (transport === 'socket') all.add('timeout'); // no first frame
  if (transport === 'upload' || task) all.add('no_space'); // the disk is nearly full; it cannot be journalled
  if (task) {
    all.add('busy'); // what it works on was changed meanwhile
    all.add('over_quota');
  }
  return (Object.keys(errorCodes) as ErrorCode[]).filter((code) => all.has(code));
}
