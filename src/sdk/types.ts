// The types of calls, mapped from the contract: one method per operation, none written by hand.
import type { Readable, Writable } from 'node:stream';
import type { AnyOperation, operations } from '../contract/index.ts';
import type { CallInputOf, Operation, OutputOf } from '../contract/operation.ts';
import type { Signal } from '../contract/stream.ts';
import type { Task } from '../contract/task.ts';

export interface CallOptions {
  /** Ends the waiting. A task that was begun continues; cancel it with `client.task.cancel`. */
  signal?: AbortSignal;
  /** Follow the task: called with every change of it. Only for operations that are tasks. */
  onTask?: (task: Task) => void;
}

/** An open `exec`, `shell` or `console`. Closing it ends the command. */
export interface Session<Ending = { exitCode: number | null; signal: string | null }> {
  /** To the command; ending it closes its standard input. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Nothing comes here with a terminal, and from a console. Read or `resume()` both: the connection carries them in order. */
  readonly stderr: Readable;
  /** Process id in the guest, once it runs. */
  readonly started: Promise<number | null>;
  /** How it ended, after everything it wrote has been put into stdout and stderr. Rejects with VivError. */
  readonly exit: Promise<Ending>;
  resize(rows: number, columns: number): void;
  signal(name: Signal): void;
  close(): void;
}

export type Body = Readable | AsyncIterable<Uint8Array> | Uint8Array;

/** Fields may be left out altogether when none is required. */
type Args<Op extends Operation, O = CallOptions> =
  object extends CallInputOf<Op> ? [input?: CallInputOf<Op>, options?: O] : [input: CallInputOf<Op>, options?: O];

/** How an operation is called, by its transport. */
export type Method<Op extends Operation> = Op['transport'] extends 'json'
  ? (...args: Args<Op>) => Promise<OutputOf<Op>>
  : Op['transport'] extends 'events'
    ? (...args: Args<Op, { signal?: AbortSignal }>) => AsyncIterable<OutputOf<Op>>
    : Op['transport'] extends 'socket'
      ? (...args: Args<Op, { signal?: AbortSignal }>) => Promise<Session<OutputOf<Op>>>
      : Op['transport'] extends 'upload'
        ? (input: CallInputOf<Op>, body: Body, options?: { signal?: AbortSignal }) => Promise<OutputOf<Op>>
        : (...args: Args<Op, { signal?: AbortSignal }>) => Promise<Readable>;

type Nouns = typeof operations;
/** `client.vm.start({ vm: 'web' })` */
export type Calls = {
  readonly [N in keyof Nouns]: { readonly [V in keyof Nouns[N]]: Nouns[N][V] extends AnyOperation ? Method<Nouns[N][V]> : never };
};
