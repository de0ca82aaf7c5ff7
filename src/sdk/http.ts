// HTTP over the daemon's Unix socket: one keep-alive agent, errors as VivError. The only file that sends requests.
import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import { finished, pipeline, Readable } from 'node:stream';
import { type ErrorBody, errorCodes, VivError } from '../contract/errors.ts';
import { type Endpoint, nameOf, type Remote, tlsOptions } from './remote.ts';
import type { Body } from './types.ts';

// An import would fill in every name that node:http exports, and with that load its WebSocket and TLS: 25 ms of every `viv ls`.
const http = process.getBuiltinModule('node:http');

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly json?: unknown;
  readonly body?: Body;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

export interface Connection {
  readonly endpoint: Endpoint;
  /** What errors call it: the socket's path or the URL. */
  readonly socket: string;
  /** Starts a daemon where none answers any more; absent where none may be started. */
  readonly revive?: (signal?: AbortSignal) => Promise<void>;
  /** Resolves with the answer's head; throws VivError when the answer is an error. The caller reads the stream. */
  open(request: Request): Promise<IncomingMessage>;
  json(request: Request): Promise<unknown>;
  close(): void;
}

export function connection(endpoint: Endpoint, revive?: Connection['revive']): Connection {
  const socket = nameOf(endpoint);
  const remote = typeof endpoint === 'string' ? undefined : endpoint;
  const keep = { keepAlive: true, maxSockets: 256 };
  const agent = remote ? new (process.getBuiltinModule('node:https').Agent)({ ...keep, ...tlsOptions(remote) }) : new http.Agent(keep);
  const open = async (request: Request): Promise<IncomingMessage> => {
    let answer: IncomingMessage;
    try {
      answer = await send(agent, endpoint, request);
    } catch (error) {
      // A kept connection that the daemon closed meanwhile: safe to ask again where nothing is changed, or where nothing could be sent.
      const { code, reused } = error as NodeJS.ErrnoException & { reused?: boolean };
      const stale = reused && ((code === 'ECONNRESET' && request.method === 'GET') || (code === 'EPIPE' && request.body === undefined));
      if (!stale) throw translate(error, socket, request.signal);
      answer = await send(agent, endpoint, request).catch((again) => Promise.reject(translate(again, socket, request.signal)));
    }
    if ((answer.statusCode ?? 500) < 400) return answer;
    throw errorFrom(await text(answer, socket, request.signal), answer.statusCode ?? 500);
  };
  return {
    endpoint,
    socket,
    ...(revive ? { revive } : {}),
    open,
    async json(request) {
      const answer = await text(await open(request), socket, request.signal);
      return answer === '' ? undefined : JSON.parse(answer);
    },
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, endpoint: Endpoint, request: Request): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.signal?.throwIfAborted();
    const json = request.json === undefined ? undefined : Buffer.from(JSON.stringify(request.json));
    const headers: OutgoingHttpHeaders = { ...request.headers };
    if (json) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = json.length;
    } else if (request.body !== undefined) headers['content-type'] = 'application/octet-stream';
    const { method, path } = request;
    const options = { agent, method, path, headers, ...(request.signal ? { signal: request.signal } : {}) };
    const outgoing = typeof endpoint === 'string' ? http.request({ ...options, socketPath: endpoint }) : overTls(endpoint, options);
    let answered = false;
    outgoing.once('response', (answer) => {
      answered = true;
      resolve(answer);
    });
    outgoing.on('error', (error) => reject(Object.assign(error, { reused: outgoing.reusedSocket })));
    if (request.body === undefined) outgoing.end(json);
    else {
      const body = request.body instanceof Uint8Array ? Readable.from([request.body]) : Readable.from(request.body);
      // The server may answer (with an error) before it has read everything: then the answer counts, not the broken pipe.
      pipeline(body, outgoing, (error) => {
        if (error && !answered) reject(error);
      });
    }
  });
}

function overTls(remote: Remote, options: RequestOptions): ClientRequest {
  const { hostname, port } = new URL(remote.url);
  if (remote.token !== undefined) options.headers = { ...options.headers, authorization: `Bearer ${remote.token}` };
  return process.getBuiltinModule('node:https').request({ ...options, hostname: hostname.replace(/^\[|\]$/g, ''), port: port || 443 });
}

/** Reads an answer to its end. A connection that breaks in the middle is an error, never a short answer. */
async function text(answer: IncomingMessage, socket: string, signal?: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    finished(answer, (error) => (error ? reject(translate(error, socket, signal)) : resolve(Buffer.concat(chunks).toString('utf8'))));
  });
}

/** The error that an answer with `status` carries. */
export function errorFrom(body: string, status: number): VivError {
  try {
    const parsed = JSON.parse(body) as ErrorBody;
    if (parsed.code in errorCodes && typeof parsed.message === 'string') return VivError.fromBody(parsed);
  } catch {
    // not an ErrorBody: handled below
  }
  return new VivError('internal', `the daemon answered with status ${status} and no explanation`, {
    details: { body: body.slice(0, 1000) },
  });
}

/** What a failed connection means to the caller. An abort is thrown as the signal's own reason. */
export function translate(error: unknown, socket: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof VivError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const remote = socket.startsWith('https://');
  if (remote && code !== undefined && (/CERT|SIGNATURE|ISSUER/.test(code) || code === 'ERR_TLS_CERT_ALTNAME_INVALID'))
    return new VivError(
      'unavailable',
      `${socket} has a certificate that is not trusted here (${(error as Error).message}); check who answers, then: viv login ${socket}`,
      { cause: error },
    );
  if (
    remote &&
    (code === 'ENOTFOUND' ||
      code === 'EAI_AGAIN' ||
      code === 'ECONNREFUSED' ||
      code === 'EHOSTUNREACH' ||
      code === 'ENETUNREACH' ||
      code === 'ETIMEDOUT')
  )
    return new VivError('unavailable', `no daemon answers on ${socket} (${code}); check the address, and viv up --listen on that host`, {
      cause: error,
    });
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return new VivError('unavailable', `no daemon answers on ${socket}; start it with: viv up`, { cause: error });
  if (code === 'EACCES' || code === 'EPERM')
    return new VivError('forbidden', `permission to use the daemon on ${socket} is denied; ask its owner, or run your own with VIV_HOME`, {
      cause: error,
    });
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE')
    return new VivError('unavailable', `the connection to the daemon on ${socket} broke before it answered; see: viv status`, {
      cause: error,
    });
  return error;
}
