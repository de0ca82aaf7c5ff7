// One route for each operation, by its transport: the gate first, then the handler, then the answer as its caller may see it.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { VivError } from '../contract/errors.ts';
import { operationList, operations } from '../contract/index.ts';
import type { Operation } from '../contract/operation.ts';
import type { Task } from '../contract/task.ts';
import type { Call, Download, Handlers, Socket } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import { sendEvents } from './event-stream.ts';
import type { Admitted, Gate } from './gate.ts';
import type { Caller } from './identify.ts';
import { type Input, inputOf } from './input.ts';
import { jsonOf } from './json-text.ts';
import { RequestCall } from './request-call.ts';
import { sendStream, settleUpload } from './streams.ts';
import { serverSocket } from './web-socket.ts';

/** What runs the operations that are tasks (task/engine.ts). */
export interface TaskEngine {
  start(operation: Operation, input: unknown, call: Call): Promise<{ task: Task; done: Promise<unknown> }>;
}

export interface RouteTools {
  readonly gate: Gate;
  readonly handlers: Handlers;
  readonly services: Services;
  readonly tasks: TaskEngine;
  readonly stopping: AbortSignal;
  readonly checkResponses: boolean;
  readonly explain: (error: unknown, operation: string) => VivError;
}

// biome-ignore lint/suspicious/noExplicitAny: the table of handlers is typed per id; here they are called by transport
type AnyHandler = any;
type Fields = Record<string, unknown>;
type Route = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>;

export function addRoutes(scope: FastifyInstance, tools: RouteTools): void {
  const { gate, handlers, services, tasks, stopping, checkResponses, explain } = tools;
  const callers = new WeakMap<FastifyRequest, Caller>();

  const send = (reply: FastifyReply, operation: Operation, value: unknown) => {
    if (checkResponses) operation.output.parse(value);
    return reply.header('content-type', 'application/json; charset=utf-8').send(jsonOf(value));
  };
  const admit = async (operation: Operation, input: Fields, request: FastifyRequest, reply?: FastifyReply): Promise<Admitted> => {
    const admitted = await gate.admit(operation, input, callers.get(request) as Caller, request, reply);
    const full = operation.worksWhenDiskFull ? null : services.host.readOnly();
    if (full !== null) throw new VivError('no_space', `${operation.id} is refused at the moment: ${full}`);
    return admitted;
  };
  /** Acts, and has the end recorded. */
  const recorded = async <T>(admitted: Admitted, operation: Operation, act: () => Promise<T>): Promise<T> => {
    try {
      const result = await act();
      await admitted.ended();
      return result;
    } catch (error) {
      await admitted.ended(explain(error, operation.id));
      throw error;
    }
  };

  const jsonRoute =
    (operation: Operation, input: Input, handler: AnyHandler): Route =>
    async (request, reply) => {
      const started = performance.now();
      const { body } = request;
      if (isStream(body)) throw new VivError('invalid', `${operation.id} takes its body as application/json`);
      const admitted = await admit(operation, input.parse({ params: request.params, query: request.query, body }), request, reply);
      const { identity } = admitted;
      const call = new RequestCall(admitted, services, reply.raw, stopping);
      if (!operation.task) {
        const output = await recorded(admitted, operation, () => handler(admitted.input, call));
        send(reply, operation, await gate.shown(operation, identity, output));
      } else {
        const { task, done } = await tasks.start(operation, admitted.input, call);
        if (/(^|[\s,])respond-async\b/i.test(String(request.headers['prefer'] ?? ''))) {
          done.catch((error: unknown) => explain(error, operation.id)); // its caller reads it from the task
          reply.code(202).header('location', `/v1/tasks/${task.id}`).header('preference-applied', 'respond-async');
          send(reply, operations.task.show as Operation, task);
        } else send(reply, operation, await gate.shown(operation, identity, await done));
      }
      services.log.debug({ operation: operation.id, caller: identity.name, ms: Math.round(performance.now() - started) }, 'request');
      return reply;
    };

  const eventsRoute =
    (operation: Operation, input: Input, handler: AnyHandler): Route =>
    async (request, reply) => {
      const query = { ...(request.query as Record<string, string>) };
      const last = request.headers['last-event-id'];
      if (typeof last === 'string' && /^\d{1,15}$/.test(last) && input.has('after')) query['after'] = last;
      const admitted = await admit(operation, input.parse({ params: request.params, query }), request);
      const call = new RequestCall(admitted, services, reply.raw, stopping);
      const events = handler(admitted.input, call) as AsyncIterable<unknown>;
      await sendEvents({
        events: admitted.identity.isOwner ? events : seenBy(admitted, events, (event) => gate.shown(operation, admitted.identity, event)),
        response: reply.raw,
        signal: call.signal,
        check: (event) => checkResponses && operation.output.parse(event),
        explain: (error) => explain(error, operation.id),
      });
      reply.hijack();
      return undefined;
    };

  const uploadRoute =
    (operation: Operation, input: Input, handler: AnyHandler): Route =>
    async (request, reply) => {
      const admitted = await admit(operation, input.parse({ params: request.params, query: request.query }), request);
      const call = new RequestCall(admitted, services, reply.raw, stopping);
      if (request.body !== undefined && !isStream(request.body))
        throw new VivError('invalid', `${operation.id} takes a stream of bytes as application/octet-stream`);
      try {
        send(reply, operation, await recorded(admitted, operation, () => handler(admitted.input, call, request.raw as Readable)));
      } finally {
        settleUpload(request.raw, reply);
      }
      return reply;
    };

  const downloadRoute =
    (operation: Operation, input: Input, handler: AnyHandler): Route =>
    async (request, reply) => {
      const admitted = await admit(operation, input.parse({ params: request.params, query: request.query }), request);
      const call = new RequestCall(admitted, services, reply.raw, stopping);
      const download = await recorded(admitted, operation, async () => (await handler(admitted.input, call)) as Download);
      const guarded = admitted.identity.isOwner
        ? download
        : { ...download, stream: Readable.from(seenBy(admitted, download.stream, async (chunk) => chunk)) };
      await sendStream(guarded, reply.raw, stopping, (error) => explain(error, operation.id));
      reply.hijack();
      return undefined;
    };

  const socketRoute = (operation: Operation, input: Input, handler: AnyHandler) => async (ws: WebSocket, request: FastifyRequest) => {
    const socket = serverSocket(ws);
    stopping.addEventListener('abort', socket.leave, { once: true });
    socket.closed.addEventListener('abort', () => stopping.removeEventListener('abort', socket.leave), { once: true });
    try {
      const parsed = input.parse({ params: request.params, body: await socket.input });
      const admitted = await admit(operation, parsed, request);
      const call: Call = { ...admitted.call, services, signal: socket.closed };
      const guarded: Socket = admitted.identity.isOwner ? socket : guard(socket, admitted);
      const output = await recorded(admitted, operation, async () => (await handler(admitted.input, call, guarded)) as { reason?: string });
      if (checkResponses) operation.output.parse(output);
      await socket.finish({ type: 'exit', exitCode: null, signal: null, ...output }, output.reason ?? 'done');
    } catch (error) {
      if (socket.closed.aborted) return;
      const failure = explain(error, operation.id);
      await socket.finish({ type: 'error', error: failure.toBody() }, failure.code);
    }
  };

  for (const operation of operationList) {
    // A route that anybody may use because nobody said who may.
    if (!/^(public|signed-in|[a-z-]+\.[a-z-]+)$/.test(operation.permission)) throw new Error(`${operation.id} declares no permission`);
    const input = inputOf(operation);
    const handler = handlers[operation.id as keyof Handlers] as AnyHandler;
    const base = {
      method: operation.method,
      url: operation.path.replace(/\{(\w+)\}/g, ':$1'),
      config: { operation: operation.id },
      onRequest: async (request: FastifyRequest) => void callers.set(request, await gate.identify(operation, request)),
    };
    if (operation.transport === 'socket') {
      scope.route({
        ...base,
        // Before the connection is upgraded, so that a refusal is an answer with a status.
        preValidation: async (request) => void (await admit(operation, { ...(request.params as Fields) }, request)),
        handler: async () => {
          throw new VivError('invalid', `${operation.id} is a WebSocket; send Upgrade: websocket`);
        },
        wsHandler: socketRoute(operation, input, handler),
      });
    } else {
      const make = { json: jsonRoute, events: eventsRoute, upload: uploadRoute, download: downloadRoute }[operation.transport];
      scope.route({ ...base, handler: make(operation, input, handler) });
    }
  }
}

/** What still may be seen: asked again for each event and each part of a stream. @throws unauthenticated when it may not any more */
async function* seenBy<T>(admitted: Admitted, source: AsyncIterable<T>, show: (item: T) => Promise<unknown>): AsyncGenerator<unknown> {
  for await (const item of source) {
    checkStill(admitted);
    const shown = await show(item);
    if (shown !== undefined) yield shown;
  }
}

function guard(socket: Socket, admitted: Admitted): Socket {
  return {
    ...socket,
    closed: socket.closed,
    send: async (channel, bytes) => {
      checkStill(admitted);
      await socket.send(channel, bytes);
    },
    onData: (listen) => socket.onData((channel, bytes) => void (admitted.stillAllowed() && listen(channel, bytes))),
    onControl: (listen) => socket.onControl((message) => void (admitted.stillAllowed() && listen(message))),
  };
}

function checkStill(admitted: Admitted): void {
  if (admitted.stillAllowed()) return;
  throw new VivError('unauthenticated', 'the session ended, or the right to see this was taken away; sign in again');
}

const isStream = (body: unknown): body is IncomingMessage => typeof (body as IncomingMessage | null)?.pipe === 'function';
