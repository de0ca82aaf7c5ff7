// What an operation's handler looks like. `Services` is what handlers work with: the engine only passes it on.
import type { Readable } from 'node:stream';
import type { Actor, AuditObject } from '../contract/audit.ts';
import type { AnyOperation, OperationById, OperationId } from '../contract/index.ts';
import type { InputOf, OutputOf } from '../contract/operation.ts';
import type { Progress } from '../contract/task.ts';
import type { Transaction } from '../store/store.ts';

export interface Call<Services> {
  /** Who calls. */
  readonly caller: Actor;
  /** What the request acts on. */
  readonly objects: readonly AuditObject[];
  /** Commits a change of the store together with the audit record of this call. */
  readonly commit: (transaction: Transaction) => Promise<{ revision: number }>;
  /** The client's User-Agent. */
  readonly client: string | null;
  /** Puts the secret of a session into the answer's cookie; null: removes it. */
  readonly setCookie: (secret: string | null) => void;
  /** Aborts when the caller disconnects (which never cancels a task) or the daemon stops. */
  readonly signal: AbortSignal;
  readonly services: Services;
}

/** What a step of a task may use. */
export interface TaskContext<Services> {
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
export interface Step<State, Services> {
  readonly name: string;
  // biome-ignore lint/suspicious/noConfusingVoidType: steps that add nothing return nothing
  run(state: State, context: TaskContext<Services>): Promise<Partial<State> | void>;
  undo?(state: State, context: TaskContext<Services>): Promise<void>;
  /** What of this step cannot be undone once it has been reached: a sentence for the caller who cancels the task. Null: all can. */
  remains?(state: State): string | null;
  /** Once this step has been reached the task cannot be cancelled: it takes effect whole, or fails by itself. */
  readonly final?: boolean;
  /** Once this step has been reached nothing is undone: a failure after it leaves things as they are. */
  readonly pointOfNoReturn?: boolean;
}

/** A task: `prepare` checks and decides (and throws what is wrong), the steps act, `output` makes the answer. */
export interface TaskHandler<Input, Output, State extends object, Services> {
  /** Checks everything that can be checked before anything changes; returns the state (JSON) that the steps work on. */
  prepare(input: Input, call: Call<Services>): Promise<State>;
  /** The name shown as the task's target. */
  target(state: State): string | null;
  /** Tasks with the same key run one after the other, in order of arrival. Null: no queue. */
  queue(state: State): string | null;
  /** Checked again when it is the task's turn in its queue: 'ignore' ends the task at once as done. */
  admit?(state: State, services: Services): Promise<'accept' | 'ignore'>;
  readonly steps: readonly Step<State, Services>[];
  output(state: State, services: Services): Promise<Output>;
}

/** The client's end of a WebSocket, as contract/stream.ts describes it. */
export interface Socket {
  /** Sends bytes on a channel; resolves when there is room for more. Empty bytes end the stream. */
  send(channel: number, bytes: Buffer): Promise<void>;
  control(message: unknown): void;
  onData(listen: (channel: number, bytes: Buffer) => void): void;
  onControl(listen: (message: unknown) => void): void;
  /** Pauses and resumes what arrives from the client. */
  pause(): void;
  resume(): void;
  /** Aborts when the client has disconnected. */
  readonly closed: AbortSignal;
}

export interface Download {
  readonly stream: Readable;
  readonly contentType: string;
}

type Transports<Op extends AnyOperation, Services> = Op['transport'] extends 'json'
  ? Op['task'] extends true
    ? // biome-ignore lint/suspicious/noExplicitAny: each handler has a state of its own
      TaskHandler<InputOf<Op>, OutputOf<Op>, any, Services>
    : (input: InputOf<Op>, call: Call<Services>) => Promise<OutputOf<Op>>
  : Op['transport'] extends 'events'
    ? (input: InputOf<Op>, call: Call<Services>) => AsyncIterable<OutputOf<Op>>
    : Op['transport'] extends 'socket'
      ? (input: InputOf<Op>, call: Call<Services>, socket: Socket) => Promise<OutputOf<Op>>
      : Op['transport'] extends 'upload'
        ? (input: InputOf<Op>, call: Call<Services>, body: Readable) => Promise<OutputOf<Op>>
        : (input: InputOf<Op>, call: Call<Services>) => Promise<Download>;

/** The handler of one operation. */
export type HandlerOf<Id extends OperationId, Services> = Transports<OperationById<Id>, Services>;
export type Handlers<Services> = { readonly [Id in OperationId]: HandlerOf<Id, Services> };
