// The contract room: what can be asked of a host. It owns the schemas, the operations, the states of things and the codes of errors, one file
// per noun; it imports nothing but zod, so that it runs in a browser. This file is how an operation is declared; everything else derives from it:
//
//   defineOperation ──┬─> HTTP routes (api/)         ├─> permissions, audit (access/)
//                     ├─> methods (sdk/)             ├─> openapi.json
//                     └─> commands, help (cli/)      └─> docs/reference/
import type { z } from 'zod';
import { type ErrorCode, errorCodes } from './errors.ts';

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

/**
 * What a permission allows: a verb on a noun, such as `vm.start`. Every operation that only reads has `<noun>.read`. Besides:
 * - `public`: every caller (sign-in).
 * - `signed-in`: every signed-in caller; the handler decides what they see of others.
 */
export type Permission = `${string}.${string}` | 'public' | 'signed-in';

/**
 * What a mistaken call costs. A console asks before `disruption` and `loss`, the command line before `loss`.
 * - `none`: nothing is changed.
 * - `change`: what it changes can be changed back.
 * - `disruption`: a running guest, or somebody's connection, is interrupted.
 * - `loss`: data is destroyed.
 */
export type Risk = 'none' | 'change' | 'disruption' | 'loss';

/** The parts of `viv --help`, in its order. */
export const sections = [
  'VMs',
  'Inside a VM',
  'Snapshots and forks',
  'Networks',
  'Images',
  'Host',
  'Access',
  'Monitoring',
  'Tasks and events',
  'Shell',
] as const;
export type Section = (typeof sections)[number];

/** How a command prints a result where --json is not given; cli/render/ has one for each. `name`: what the next command on a line would take. */
export type Print =
  | 'name'
  | 'id'
  | 'alert-sheet'
  | 'alert-table'
  | 'catalog-table'
  | 'difference'
  | 'explanation'
  | 'forward-table'
  | 'image-name'
  | 'image-sheet'
  | 'image-table'
  | 'network-sheet'
  | 'network-table'
  | 'nic-table'
  | 'project-sheet'
  | 'project-table'
  | 'role-sheet'
  | 'role-table'
  | 'security-group-sheet'
  | 'security-group-table'
  | 'session-table'
  | 'snapshot-name'
  | 'snapshot-sheet'
  | 'snapshot-table'
  | 'stopped'
  | 'task-sheet'
  | 'task-table'
  | 'token-table'
  | 'user-sheet'
  | 'audit-forward-table'
  | 'user-table'
  | 'verification'
  | 'vm-sheet'
  | 'vm-table'
  | 'warm-pool-sheet'
  | 'warm-pool-table';

/** How the operation appears on the command line. Flags derive from the input's fields. */
export interface Cli {
  /** Words of the command, `image ls`. */
  readonly words: string;
  /** Where `viv --help` lists it; within a section the order is the contract's. */
  readonly section: Section;
  /** `name` by default. */
  readonly prints?: Print;
  /** Input fields given by position, in order; `vm...` takes several (one call each, or one with all of them where the field is a list), `name?` is optional, `rule+` is a text of several words. */
  readonly args?: readonly string[];
  /** Field -> flag where the derived one does not fit (`removeOnStop: 'rm'`), or `false` to leave it out. */
  readonly flags?: Readonly<Record<string, string | false>>;
  /** Field -> what `--no-…` does, for a field whose default is true. */
  readonly without?: Readonly<Record<string, string>>;
  /** Field -> one-letter flag. */
  readonly short?: Readonly<Record<string, string>>;
  /** A question asked on a terminal before it acts; `--yes` answers. `{vm}` is replaced by the argument. */
  readonly confirm?: string;
  /** True where src/cli/command has a hand-written command for it (terminal attach and the like). */
  readonly custom?: boolean;
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
  readonly permission: Permission;
  /** Recorded in the audit log. Default: whatever is not a GET. */
  readonly audit: boolean;
  /** Default: `none` for a GET, else `change`. */
  readonly risk: Risk;
  /** False: refused while the host's disk is nearly full. Default: true for a GET only. What frees space, or hardly writes, works. */
  readonly worksWhenDiskFull: boolean;
  readonly transport: T;
  /** True: it changes something, runs as a task with journalled steps, and a caller may choose not to wait for it. */
  readonly task: K;
  readonly cli?: Cli;
}

type Derived = 'transport' | 'task' | 'audit' | 'risk' | 'worksWhenDiskFull';
type Given<Id extends string, I extends z.ZodObject, O extends z.ZodType, T extends Transport, K extends boolean> = Omit<
  Operation<Id, I, O, T, K>,
  Derived
> & { transport?: T; task?: K } & Partial<Pick<Operation, 'audit' | 'risk' | 'worksWhenDiskFull'>>;

export function defineOperation<
  const Id extends string,
  I extends z.ZodObject,
  O extends z.ZodType,
  const T extends Transport = 'json',
  const K extends boolean = false,
>(given: Given<Id, I, O, T, K>): Operation<Id, I, O, T, K> {
  const reads = given.method === 'GET';
  return {
    transport: 'json' as T,
    task: false as K,
    audit: !reads,
    risk: reads ? 'none' : 'change',
    worksWhenDiskFull: reads,
    ...given,
  };
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
