// HTTP, WebSocket and event streams over one Unix socket: every route derives from the table of operations.
// Who may ask is decided here; errors become responses here and nowhere else. There is no TCP listener.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import type { Readable } from 'node:stream';
import websocket from '@fastify/websocket';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { VivError } from '../contract/errors.ts';
import { operationList, operations } from '../contract/index.ts';
import { openapi } from '../contract/openapi.ts';
import { errorsOf, type Operation } from '../contract/operation.ts';
import { roleAllows } from '../contract/permission.ts';
import type { Task } from '../contract/task.ts';
import type { Call, Caller, Download, Handlers, Socket } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import { toVivError } from './errors.ts';
import { sendEvents } from './event-stream.ts';
import { type Input, inputOf } from './input.ts';
import { jsonOf } from './json-text.ts';
import { clearSocket, protectSocket } from './listen.ts';
import { callerOf, type PeerUid, peerUid } from './peer.ts';
import { sendStream, settleUpload } from './streams.ts';
import { serverSocket } from './web-socket.ts';

/** What runs the operations that are tasks (task/engine.ts). */
export interface TaskEngine {
  start(operation: Operation, input: unknown, call: Call): Promise<{ task: Task; done: Promise<unknown> }>;
}

export interface ServerOptions {
  readonly handlers: Handlers;
  readonly services: Services;
  readonly tasks: TaskEngine;
  /** For tests: parse every answer by its schema and look every error up in its operation's list; fail on one that does not match. */
  readonly checkResponses?: boolean;
  /** Who is at the other end; the kernel is asked by default. */
  readonly peer?: PeerUid;
  /** What a uid may do; null: nothing. */
  readonly caller?: (uid: number | null) => Caller | null;
}

export interface ApiServer {
  /** Throws in_use when another daemon answers on the path. */
  listen(socketPath: string): Promise<void>;
  /** Ends streams at once; gives WebSocket clients a second to answer the close, and requests under way three. */
  close(): Promise<void>;
}

const bodyBytes = 2 * 1024 * 1024;
const closeMs = 3000;
const socketCloseMs = 1000;
// biome-ignore lint/suspicious/noExplicitAny: the table of handlers is typed per id; here they are called by transport
type AnyHandler = any;

export function createServer(options: ServerOptions): ApiServer {
  const { services } = options;
  const stopping = new AbortController();
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 32 * 1024 },
    http: { maxHeaderSize: 64 * 1024 },
    keepAliveTimeout: 60_000,
    requestTimeout: 0,
    forceCloseConnections: false,
    return503OnClosing: false,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? undefined : parseJson(text as string));
    } catch {
      done(new VivError('invalid', 'the request body is not JSON'));
    }
  });
  app.addContentTypeParser('*', (_request, stream, done) => done(null, stream));
  app.setErrorHandler((error, request, reply) => fail(reply, error, routeId(request)));
  app.setNotFoundHandler((request, reply) =>
    fail(
      reply,
      new VivError('not_found', `there is no ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}; see /v1/openapi.json`),
      'unknown',
    ),
  );

  const uidOf = options.peer ?? peerUid();
  const ownUid = process.getuid?.() ?? 0;
  const judge = options.caller ?? ((uid: number | null) => callerOf(uid, ownUid));
  const callers = new WeakMap<NetSocket, Caller | null>();
  const callerFor = (request: FastifyRequest): Caller => {
    const socket = request.raw.socket;
    let caller = callers.get(socket);
    if (caller === undefined) {
      caller = judge(uidOf(socket));
      callers.set(socket, caller);
    }
    if (!caller) throw new VivError('forbidden', 'this daemon belongs to another user; ask its owner, or run your own');
    return caller;
  };
  const known = new Map(operationList.map((operation) => [operation.id, errorsOf(operation)]));
  const explain = (error: unknown, operation: string): VivError => {
    const answer = toVivError(error, services.log, operation);
    if (!options.checkResponses || (known.get(operation)?.includes(answer.code) ?? true)) return answer;
    return toVivError(new Error(`${operation} does not declare the error ${answer.code} (${answer.message})`), services.log, operation);
  };
  const fail = (reply: FastifyReply, error: unknown, operation: string) => {
    const answer = explain(error, operation);
    services.log.debug({ operation, code: answer.code, message: answer.message }, 'request failed');
    return reply.code(answer.status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer.toBody()));
  };
  const send = (reply: FastifyReply, operation: Operation, value: unknown) => {
    if (options.checkResponses) operation.output.parse(value);
    return reply.header('content-type', 'application/json; charset=utf-8').send(jsonOf(value));
  };
  const admit = (operation: Operation, request: FastifyRequest): Caller => {
    const caller = callerFor(request);
    if (!roleAllows(caller.role, operation.permission))
      throw new VivError(
        'forbidden',
        `${operation.id} needs the permission ${operation.permission}, which the role ${caller.role} of ${caller.name} does not have`,
      );
    const full = operation.worksWhenDiskFull ? null : services.host.readOnly();
    if (full !== null) throw new VivError('no_space', `${operation.id} is refused at the moment: ${full}`);
    return caller;
  };

  const jsonRoute = (operation: Operation, input: Input, handler: AnyHandler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const started = performance.now();
    const caller = admit(operation, request);
    const body = request.body;
    if (isStream(body)) throw new VivError('invalid', `${operation.id} takes its body as application/json`);
    const parsed = input.parse({ params: request.params, query: request.query, body });
    const call = new RequestCall(caller, services, reply.raw, stopping.signal);
    if (!operation.task) {
      send(reply, operation, await handler(parsed, call));
    } else {
      const { task, done } = await options.tasks.start(operation, parsed, call);
      if (/(^|[\s,])respond-async\b/i.test(String(request.headers['prefer'] ?? ''))) {
        done.catch((error: unknown) => explain(error, operation.id)); // the task reports it to its caller
        reply.code(202).header('location', `/v1/tasks/${task.id}`).header('preference-applied', 'respond-async');
        send(reply, operations.task.show as Operation, task);
      } else send(reply, operation, await done);
    }
    services.log.debug({ operation: operation.id, caller: caller.name, ms: Math.round(performance.now() - started) }, 'request');
    return reply;
  };

  const eventsRoute = (operation: Operation, input: Input, handler: AnyHandler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const caller = admit(operation, request);
    const query = { ...(request.query as Record<string, string>) };
    const last = request.headers['last-event-id'];
    if (typeof last === 'string' && /^\d{1,15}$/.test(last) && input.has('after')) query['after'] = last;
    const parsed = input.parse({ params: request.params, query });
    const call = new RequestCall(caller, services, reply.raw, stopping.signal);
    await sendEvents({
      events: handler(parsed, call),
      response: reply.raw,
      signal: call.signal,
      check: (event) => options.checkResponses && operation.output.parse(event),
      explain: (error) => explain(error, operation.id),
    });
    reply.hijack();
  };

  const uploadRoute = (operation: Operation, input: Input, handler: AnyHandler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const caller = admit(operation, request);
    const parsed = input.parse({ params: request.params, query: request.query });
    const call = new RequestCall(caller, services, reply.raw, stopping.signal);
    if (request.body !== undefined && !isStream(request.body))
      throw new VivError('invalid', `${operation.id} takes a stream of bytes as application/octet-stream`);
    try {
      send(reply, operation, await handler(parsed, call, request.raw as Readable));
    } finally {
      settleUpload(request.raw, reply);
    }
    return reply;
  };

  const downloadRoute =
    (operation: Operation, input: Input, handler: AnyHandler) => async (request: FastifyRequest, reply: FastifyReply) => {
      const caller = admit(operation, request);
      const parsed = input.parse({ params: request.params, query: request.query });
      const call = new RequestCall(caller, services, reply.raw, stopping.signal);
      const download = (await handler(parsed, call)) as Download;
      await sendStream(download, reply.raw, stopping.signal, (error) => explain(error, operation.id));
      reply.hijack();
    };

  const socketRoute = (operation: Operation, input: Input, handler: AnyHandler) => async (ws: WebSocket, request: FastifyRequest) => {
    const socket = serverSocket(ws);
    stopping.signal.addEventListener('abort', socket.leave, { once: true });
    socket.closed.addEventListener('abort', () => stopping.signal.removeEventListener('abort', socket.leave), { once: true });
    try {
      const caller = callerFor(request);
      const parsed = input.parse({ params: request.params, body: await socket.input });
      const call: Call = { caller, services, signal: socket.closed };
      const output = (await (handler as (...args: unknown[]) => Promise<object>)(parsed, call, socket satisfies Socket)) as {
        reason?: string;
      };
      if (options.checkResponses) operation.output.parse(output);
      await socket.finish({ type: 'exit', exitCode: null, signal: null, ...output }, output.reason ?? 'done');
    } catch (error) {
      if (socket.closed.aborted) return;
      const answer = explain(error, operation.id);
      await socket.finish({ type: 'error', error: answer.toBody() }, answer.code);
    }
  };

  const addRoutes = (scope: FastifyInstance) => {
    for (const operation of operationList) {
      const input = inputOf(operation);
      const handler = options.handlers[operation.id as keyof Handlers] as AnyHandler;
      const url = operation.path.replace(/\{(\w+)\}/g, ':$1');
      const base = { method: operation.method, url, config: { operation: operation.id } };
      if (operation.transport === 'socket') {
        scope.route({
          ...base,
          preValidation: async (request) => void admit(operation, request),
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
    let document: string | undefined;
    scope.get('/v1/openapi.json', async (request, reply) => {
      callerFor(request);
      document ??= JSON.stringify(openapi(services.version));
      return reply.header('content-type', 'application/json; charset=utf-8').send(document);
    });
  };
  app.register(websocket, { options: { maxPayload: 1024 * 1024, perMessageDeflate: false } });
  app.register((scope, _options, done) => {
    addRoutes(scope);
    done();
  });

  return {
    async listen(socketPath) {
      await clearSocket(socketPath);
      await app.listen({ path: socketPath });
      await protectSocket(socketPath);
    },
    async close() {
      stopping.abort(new VivError('unavailable', 'the daemon is stopping; try again when it is back'));
      const firm = setTimeout(() => app.server.closeAllConnections(), closeMs);
      // The server does not count upgraded connections among those it closes, and yet waits for them.
      const firmSockets = setTimeout(() => {
        for (const client of app.websocketServer.clients) client.terminate();
      }, socketCloseMs);
      // A kept connection becomes idle when its answer has been sent, the one of `viv down` itself for one.
      const idle = setInterval(() => app.server.closeIdleConnections(), 10);
      await app.close().finally(() => {
        clearTimeout(firm);
        clearTimeout(firmSockets);
        clearInterval(idle);
      });
    },
  };
}

/** A handler's view of its call. The signal has a cost, so it is created on first use. */
class RequestCall implements Call {
  readonly caller: Caller;
  readonly services: Services;
  readonly #response: ServerResponse;
  readonly #stopping: AbortSignal;
  #signal: AbortSignal | undefined;

  constructor(caller: Caller, services: Services, response: ServerResponse, stopping: AbortSignal) {
    this.caller = caller;
    this.services = services;
    this.#response = response;
    this.#stopping = stopping;
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const gone = new AbortController();
    const leave = () => gone.abort(new VivError('cancelled', 'the caller closed the connection'));
    const stop = () => gone.abort(this.#stopping.reason);
    if (this.#response.closed || this.#response.destroyed) leave();
    else if (this.#stopping.aborted) stop();
    else {
      this.#stopping.addEventListener('abort', stop, { once: true });
      this.#response.once('close', () => {
        this.#stopping.removeEventListener('abort', stop);
        if (!this.#response.writableFinished) leave();
      });
    }
    this.#signal = gone.signal;
    return gone.signal;
  }
}

const isStream = (body: unknown): body is IncomingMessage => typeof (body as IncomingMessage | null)?.pipe === 'function';
const routeId = (request: FastifyRequest) => (request.routeOptions.config as { operation?: string }).operation ?? 'request';

/** JSON without the keys that could reach a prototype. */
function parseJson(text: string): unknown {
  if (!text.includes('__proto__')) return JSON.parse(text);
  return JSON.parse(text, (key, value) => {
    if (key === '__proto__') throw new SyntaxError('forbidden key');
    return value;
  });
}
