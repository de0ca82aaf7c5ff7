// The api room: HTTP, WebSocket and event streams, over the host's socket and, where it is enabled, the network (network-listener.ts).
// It owns routes, authentication of requests, deadlines of bodies, and the translation of errors into responses, which happens nowhere else.
// What an operation does is left to operations/, which permissions exist to access/.
//
//   request ──> identify.ts ──> gate.ts ──> input.ts ──> handler ──> response, event stream or WebSocket
//               who sends it    allowed?    schema       (task)      errors.ts
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import websocket from '@fastify/websocket';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { VivError } from '../contract/errors.ts';
import { operationList } from '../contract/index.ts';
import { openapi } from '../contract/openapi.ts';
import { errorsOf } from '../contract/operation.ts';
import { webSocketProtocol } from '../contract/ticket.ts';
import type { Handlers } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import { addBodyDeadlines, type BodyDeadlines, usualDeadlines } from './body-deadline.ts';
import { addConsole, asksForPage, type ConsoleFile, sendPage } from './console.ts';
import { toVivError } from './errors.ts';
import { Gate } from './gate.ts';
import { addressOf, Identifier } from './identify.ts';
import { safeJson } from './json-text.ts';
import { clearSocket, protectSocket } from './listen.ts';
import { answerMalformed, answerRefusals } from './malformed.ts';
import type { PeerUid } from './peer.ts';
import { addRoutes, type TaskEngine } from './routes.ts';

export interface ServerOptions {
  readonly handlers: Handlers;
  readonly services: Services;
  readonly tasks: TaskEngine;
  /** For tests: parse every answer by its schema and look every error up in its operation's list; fail on one that does not match. */
  readonly checkResponses?: boolean;
  /** How long bodies may take (default: 30 s, and 10 min of silence for uploads). */
  readonly bodyDeadlines?: BodyDeadlines;
  /** Who is at the other end (default: as the kernel says). */
  readonly peer?: PeerUid;
  /** Reads the web console's files (default: there are none). */
  readonly consoleFile?: ConsoleFile;
}

export interface ApiServer {
  /** Resolves when the routes can be called. */
  ready(): Promise<void>;
  /** Throws in_use when another daemon answers on the path. */
  listen(socketPath: string): Promise<void>;
  /** The routes, for another listener. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Ends streams at once; gives WebSocket clients a second to answer the close, and requests under way three. */
  close(): Promise<void>;
}

const bodyBytes = 2 * 1024 * 1024;
const closeMs = 3000;
const socketCloseMs = 1000;
const uploads: ReadonlySet<string> = new Set(operationList.filter(({ transport }) => transport === 'upload').map(({ id }) => id));
/** For browsers: nothing is kept, guessed, framed or reached by plain HTTP. */
const networkHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'strict-transport-security': 'max-age=31536000',
};

export function createServer(options: ServerOptions): ApiServer {
  const { services } = options;
  const stopping = new AbortController();
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 32 * 1024 },
    http: { maxHeaderSize: 64 * 1024, requireHostHeader: false },
    keepAliveTimeout: 60_000,
    requestTimeout: 0, // bodies have a deadline of their own (body-deadline.ts)
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, _request, reply) => void fail(reply as unknown as FastifyReply, error, 'request'),
    forceCloseConnections: false,
    return503OnClosing: false,
  });
  answerRefusals(app.server);
  addBodyDeadlines(
    app,
    options.bodyDeadlines ?? usualDeadlines,
    (request) => uploads.has(routeId(request)),
    (reply, error) => refuse(reply, error),
  );
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
  const missing = (reply: FastifyReply, request: FastifyRequest) =>
    fail(
      reply,
      new VivError('not_found', `there is no ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}; see /v1/openapi.json`),
      'unknown',
    );
  const readConsole = options.consoleFile ?? (async () => null);
  app.setNotFoundHandler((request, reply) => (asksForPage(request) ? sendPage(reply, readConsole) : missing(reply, request)));

  const known = new Map(operationList.map((operation) => [operation.id, errorsOf(operation)]));
  const explain = (error: unknown, operation: string): VivError => {
    const answer = toVivError(error, services.log, operation);
    if (!options.checkResponses || (known.get(operation)?.includes(answer.code) ?? true)) return answer;
    return toVivError(new Error(`${operation} does not declare the error ${answer.code} (${answer.message})`), services.log, operation);
  };
  const fail = (reply: FastifyReply, error: unknown, operation: string) => {
    const answer = explain(error, operation);
    services.log.debug({ operation, code: answer.code, message: answer.message }, 'request failed');
    return reply.code(answer.status).header('content-type', 'application/json; charset=utf-8').send(safeJson(answer.toBody()));
  };
  /** Answers while the body has not arrived, and closes the connection. */
  const refuse = (reply: FastifyReply, error: VivError) => {
    reply.hijack();
    const text = safeJson(error.toBody());
    reply.raw.writeHead(error.status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      connection: 'close',
    });
    reply.raw.end(text, () => reply.raw.socket?.destroy());
  };
  const identifier = new Identifier(services.access, options.peer);
  const tools = {
    ...options,
    gate: new Gate(services, identifier),
    stopping: stopping.signal,
    checkResponses: options.checkResponses === true,
    explain,
  };
  const addDocument = (scope: FastifyInstance) => {
    let document: string | undefined;
    const onRequest = async (request: FastifyRequest) => {
      if (identifier.identify(request.raw).identity.ref.via === 'none') throw new VivError('unauthenticated', 'sign in first: viv login');
    };
    scope.get('/v1/openapi.json', { onRequest }, async (_request, reply) => {
      document ??= JSON.stringify(openapi(services.version));
      return reply.header('content-type', 'application/json; charset=utf-8').send(document);
    });
  };
  app.register(websocket, {
    // Of what a client offers only the protocol's name is answered, never a ticket.
    options: {
      maxPayload: 1024 * 1024,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(webSocketProtocol) ? webSocketProtocol : false),
    },
  });
  app.register((scope, _options, done) => {
    addRoutes(scope, tools);
    addDocument(scope);
    addConsole(scope, readConsole, missing);
    done();
  });

  app.addHook('onSend', async (request, reply) => {
    if (addressOf(request.raw) !== null)
      for (const [header, value] of Object.entries(networkHeaders)) if (!reply.hasHeader(header)) reply.header(header, value);
  });

  return {
    handle: (request, response) => app.routing(request, response),
    upgrade: (request, socket, head) => void app.server.emit('upgrade', request, socket, head),
    async ready() {
      await app.ready();
    },
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

const routeId = (request: FastifyRequest) => (request.routeOptions.config as { operation?: string }).operation ?? 'request';

/** JSON without the keys that could reach a prototype. */
function parseJson(text: string): unknown {
  if (!text.includes('__proto__')) return JSON.parse(text);
  return JSON.parse(text, (key, value) => {
    if (key === '__proto__') throw new SyntaxError('forbidden key');
    return value;
  });
}
