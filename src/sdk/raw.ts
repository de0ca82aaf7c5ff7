// Raw calls: from an operation of the contract to its method, by transport. Nothing here knows a particular operation
// except `task.follow`, by which a task is watched until it ends.
import type { IncomingMessage } from 'node:http';
import { type ErrorBody, VivError } from '../contract/errors.ts';
import { operations } from '../contract/index.ts';
import type { Operation } from '../contract/operation.ts';
import type { Task } from '../contract/task.ts';
import { download } from './download.ts';
import { serverEvents } from './events.ts';
import { type Connection, translate } from './http.ts';
import { route } from './route.ts';
import type { Body, CallOptions, Calls } from './types.ts';

type Input = Record<string, unknown>;

/** How long a task or an event stream is asked for again after the connection broke (the daemon may be restarting). */
const reconnectMs = 20_000;
/** A supervisor (systemd) has had the time to start it again by then. */
const reviveMs = 3_000;

export function callsFor(connection: Connection): Calls {
  const nouns = Object.entries(operations).map(([noun, verbs]) => [
    noun,
    Object.fromEntries(Object.entries(verbs).map(([verb, operation]) => [verb, methodFor(connection, operation as Operation)])),
  ]);
  return Object.fromEntries(nouns) as Calls;
}

export function methodFor(connection: Connection, operation: Operation): (...args: never[]) => unknown {
  switch (operation.transport) {
    case 'json':
      return (input: Input = {}, options: CallOptions = {}) => callJson(connection, operation, input, options);
    case 'events':
      return (input: Input = {}, options: CallOptions = {}) => follow(connection, operation, input, options.signal);
    case 'socket':
      return async (input: Input = {}, options: CallOptions = {}) => {
        const { path, rest } = route(operation, input);
        const { openSession } = await import('./session.ts');
        return openSession(connection.endpoint, path, rest, options.signal);
      };
    case 'upload':
      return async (input: Input, body: Body, options: CallOptions = {}) => {
        const { method, path } = route(operation, input);
        return connection.json({ method, path, body, signal: options.signal });
      };
    case 'download':
      return async (input: Input = {}, options: CallOptions = {}) => {
        const { method, path } = route(operation, input);
        const answer = await connection.open({ method, path, headers: { te: 'trailers' }, signal: options.signal });
        return download(answer, connection.socket, options.signal);
      };
  }
}

async function callJson(connection: Connection, operation: Operation, input: Input, options: CallOptions): Promise<unknown> {
  const { method, path, rest } = route(operation, input);
  const json = method === 'GET' ? undefined : rest;
  if (!operation.task || !options.onTask) return connection.json({ method, path, json, signal: options.signal });
  const begun = (await connection.json({ method, path, json, signal: options.signal, headers: { prefer: 'respond-async' } })) as Task;
  return taskOutput(connection, begun, options.onTask, options.signal);
}

/** Follows a task to its end, also across restarts of the daemon. */
async function taskOutput(connection: Connection, begun: Task, onTask: (task: Task) => void, signal?: AbortSignal): Promise<unknown> {
  let task = begun;
  onTask(task);
  if (task.state === 'running') {
    const seenOf = follow(connection, operations.task.follow, { task: task.id }, signal, connection.revive) as AsyncIterable<Task>;
    for await (const seen of seenOf) {
      task = seen;
      onTask(task);
      if (task.state !== 'running') break;
    }
  }
  if (task.state === 'done') return task.output;
  if (task.error) throw VivError.fromBody(task.error as ErrorBody);
  if (task.state === 'cancelled') throw new VivError('cancelled', `${task.operation} was cancelled`, { details: { task: task.id } });
  throw new VivError('unavailable', `lost sight of task ${task.id} before it ended; see: viv task show ${task.id}`);
}

/** Events in order, none twice and none missed: after a break it asks again from the last one seen. @param revive where the daemon has died */
async function* follow(
  connection: Connection,
  operation: Operation,
  input: Input,
  signal?: AbortSignal,
  revive?: Connection['revive'],
): AsyncGenerator<unknown> {
  const { method, path } = route(operation, input);
  let lastId: string | undefined;
  let broken: { since: number; error: unknown } | undefined;
  let stopping = false;
  for (;;) {
    try {
      const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
      const answer: IncomingMessage = await connection.open({ method, path, headers, signal });
      try {
        for await (const event of serverEvents(answer)) {
          if (event.type === 'error') throw VivError.fromBody(JSON.parse(event.data) as ErrorBody);
          if (event.type === 'end') return;
          broken = undefined;
          stopping = false;
          lastId = event.id ?? lastId;
          yield JSON.parse(event.data);
        }
        stopping = true; // it has closed the stream itself
      } finally {
        answer.destroy();
      }
    } catch (thrown) {
      const error = translate(thrown, connection.socket, signal);
      if (signal?.aborted || !(error instanceof VivError) || error.code !== 'unavailable') throw error;
      broken ??= { since: Date.now(), error };
      if (Date.now() - broken.since > reconnectMs) throw error;
      // A daemon that was stopped on purpose is not started again.
      if (!stopping && Date.now() - broken.since > reviveMs) {
        await revive?.(signal).catch(() => {}); // reported when the time is over
        revive = undefined;
      }
    }
    await pause(200, signal);
  }
}

/** A short pause between two attempts; throws the signal's reason. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    function done() {
      signal?.removeEventListener('abort', abort);
      resolve();
    }
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
}
