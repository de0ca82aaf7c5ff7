// What an operation's handler looks like. Each file under operations/<noun>/ exports one, named `handler`.
import type { Readable } from 'node:stream';
import type { Actor, AuditObject } from '../contract/audit.ts';
import type { AnyOperation, OperationById, OperationId } from '../contract/index.ts';
import type { InputOf, OutputOf } from '../contract/operation.ts';
import type { Progress } from '../contract/task.ts';
import type { Services } from '../operations/services.ts';
import type { Transaction } from '../store/store.ts';

export interface Call {
  /** Who is asking. */
  readonly caller: Actor;
  /** What the request acts on. */
  readonly objects: readonly AuditObject[];
  /** Commits a change of the store together with the audit record of this call. */
  readonly commit: (transaction: Transaction) => Promise<{ revision: number }>;
  /** What the client calls itself. */
  readonly client: string | null;
  /** Puts the secret of a session into the answer's cookie; null: removes it. */
  readonly setCookie: (secret: string | null) => void;
  /** Aborts when the caller goes away (never cancels a task) or the daemon stops. */
  readonly signal: AbortSignal;
  readonly services: Services;
}

/** What a step of a task may use. */
export interface TaskContext {
  readonly services: Services;
  readonly taskId: string;
  /** Aborts when the task is cancelled or the daemon stops. */
  readonly signal: AbortSignal;
  /** True when the step may have been run before (after a crash). */
  readonly repeated: boolean;
  progress(progress: Partial<Progress> & { message: string }): void;
  log(line: string): void;
}

/**
 * One step: journalled before it acts, undone in reverse order when a later one fails.
 * `run` and `undo` may each be executed twice and must come to the same end. `run` returns what it adds to the state.
 */
export interface Step<S> {
  readonly name: string;
  run(state: S, context: TaskContext): Promise<Partial<S> | void>;
  undo?(state: S, context: TaskContext): Promise<void>;
  /** What of it, once it has been reached, cannot be taken back: a sentence for who cancels the task; null: all can. */
  remains?(state: S): string | null;
  /** True once this step has been reached the task is not cancelled any more: it takes effect whole, or fails by itself. */
  readonly final?: boolean;
  /** True once this step has been reached there is no way back: a failure after it leaves things as they are. */
  readonly pointOfNoReturn?: boolean;
}

/** A task: `prepare` only looks and decides (and throws what is wrong), the steps act, `output` tells. */
export interface TaskHandler<I, O, S extends object = object> {
  /** Checks everything that can be checked before anything changes; returns the state (JSON) that the steps work on. */
  prepare(input: I, call: Call): Promise<S>;
  /** The name shown as the task's target. */
  target(state: S): string | null;
  /** Tasks with the same key run one after the other, in order of arrival. Null: no queue. */
  queue(state: S): string | null;
  /** Checked again when its turn in the queue has come: 'ignore' ends the task at once as done. */
  admit?(state: S, services: Services): Promise<'accept' | 'ignore'>;
  readonly steps: readonly Step<S>[];
  output(state: S, services: Services): Promise<O>;
}

/** The far end of a WebSocket, as contract/stream.ts describes it. */
export interface Socket {
  /** Sends bytes on a channel; resolves when there is room for more. Empty bytes end the stream. */
  send(channel: number, bytes: Buffer): Promise<void>;
  control(message: unknown): void;
  onData(listen: (channel: number, bytes: Buffer) => void): void;
  onControl(listen: (message: unknown) => void): void;
  /** Stops and lets go on what arrives from the client. */
  pause(): void;
  resume(): void;
  /** Aborts when the client has gone. */
  readonly closed: AbortSignal;
}

export interface Download {
  readonly stream: Readable;
  readonly contentType: string;
}

type Transports<Op extends AnyOperation> = Op['transport'] extends 'json'
  ? Op['task'] extends true
    ? // biome-ignore lint/suspicious/noExplicitAny: each handler has a state of its own
      TaskHandler<InputOf<Op>, OutputOf<Op>, any>
    : (input: InputOf<Op>, call: Call) => Promise<OutputOf<Op>>
  : Op['transport'] extends 'events'
    ? (input: InputOf<Op>, call: Call) => AsyncIterable<OutputOf<Op>>
    : Op['transport'] extends 'socket'
      ? (input: InputOf<Op>, call: Call, socket: Socket) => Promise<OutputOf<Op>>
      : Op['transport'] extends 'upload'
        ? (input: InputOf<Op>, call: Call, body: Readable) => Promise<OutputOf<Op>>
        : (input: InputOf<Op>, call: Call) => Promise<Download>;

/** The handler of one operation. A table of these for every id is what operations/index.ts has to be. */
export type HandlerOf<Id extends OperationId> = Transports<OperationById<Id>>;
export type Handlers = { readonly [Id in OperationId]: HandlerOf<Id> };
