// A WebSocket of `vm.exec` or `vm.console` as streams, with back-pressure both ways (contract/stream.ts).
import { Readable, Writable } from 'node:stream';
import type WebSocket from 'ws';
import { type ErrorBody, VivError } from '../contract/errors.ts';
import { channel } from '../contract/frame.ts';
import type { ServerControl } from '../contract/stream.ts';
import { translate } from './http.ts';
import { type Endpoint, nameOf, tlsOptions } from './remote.ts';
import type { Session } from './types.ts';

/** Bytes in one frame at most, and how many may wait in the socket before writing pauses. */
const frameBytes = 64 * 1024;

export async function openSession(endpoint: Endpoint, path: string, input: unknown, signal?: AbortSignal): Promise<Session> {
  const { default: WebSocketClient } = await import('ws');
  signal?.throwIfAborted();
  const socket = nameOf(endpoint);
  const options = { perMessageDeflate: false, maxPayload: 1024 * 1024 };
  const ws =
    typeof endpoint === 'string'
      ? new WebSocketClient(`ws+unix:${endpoint}:${path}`, options)
      : new WebSocketClient(`${socket.replace(/^https/, 'wss')}${path}`, {
          ...options,
          ...tlsOptions(endpoint),
          ...(endpoint.token === undefined ? {} : { headers: { authorization: `Bearer ${endpoint.token}` } }),
        });
  const abort = () => ws.terminate();
  signal?.addEventListener('abort', abort, { once: true });
  ws.once('close', () => signal?.removeEventListener('abort', abort));
  await new Promise<void>((resolve, reject) => {
    ws.once('open', () => resolve());
    ws.once('error', (error) => reject(translate(error, socket, signal)));
    ws.once('unexpected-response', (_request, answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('close', () => {
        try {
          reject(VivError.fromBody(JSON.parse(Buffer.concat(chunks).toString('utf8')) as ErrorBody));
        } catch {
          reject(new VivError('internal', `the daemon answered with status ${answer.statusCode} and no explanation`));
        }
        ws.terminate();
      });
    });
  });
  const session = streams(ws, socket, signal);
  ws.send(JSON.stringify(input ?? {}));
  return session;
}

function streams(ws: WebSocket, socket: string, signal?: AbortSignal): Session {
  const full = new Set<Readable>();
  const ended = new Set<Readable>();
  const output = () => {
    const stream: Readable = new Readable({
      read() {
        if (full.delete(stream) && full.size === 0) ws.resume();
      },
      destroy(error, done) {
        if (full.delete(stream) && full.size === 0) ws.resume();
        done(error);
      },
    });
    stream.on('error', () => {}); // also reported by `exit`
    return stream;
  };
  const stdout = output();
  const stderr = output();
  const push = (stream: Readable, bytes: Buffer | null) => {
    if (stream.destroyed || ended.has(stream)) return;
    if (bytes === null) ended.add(stream);
    if (stream.push(bytes) || bytes === null) return;
    full.add(stream);
    ws.pause();
  };

  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      send(ws, Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)).then(() => done(), done);
    },
    final(done) {
      if (ws.readyState !== ws.OPEN) return done();
      ws.send(Buffer.from([channel.stdin]), () => done());
    },
  });
  stdin.on('error', () => {}); // the command may end without reading; `exit` tells how

  const started = Promise.withResolvers<number | null>();
  const exit = Promise.withResolvers<{ exitCode: number | null; signal: string | null }>();
  started.promise.catch(() => {});
  exit.promise.catch(() => {});
  const end = (error: unknown) => {
    started.reject(error);
    exit.reject(error);
    stdin.destroy();
    for (const stream of [stdout, stderr]) if (!ended.has(stream)) stream.destroy(error as Error);
  };

  ws.on('message', (data: Buffer, binary: boolean) => {
    if (binary) {
      const stream = data[0] === channel.stderr ? stderr : stdout;
      push(stream, data.length === 1 ? null : data.subarray(1));
      return;
    }
    const message = JSON.parse(data.toString('utf8')) as ServerControl;
    if (message.type === 'started') started.resolve(message.pid);
    else if (message.type === 'error') end(VivError.fromBody(message.error as ErrorBody));
    else {
      const { type: _, ...ending } = message;
      for (const stream of [stdout, stderr]) push(stream, null);
      started.resolve(null);
      exit.resolve(ending);
      stdin.destroy();
    }
  });
  let failure: unknown;
  ws.on('error', (error) => {
    failure = error;
  });
  ws.on('close', () => {
    const why = signal?.aborted
      ? signal.reason
      : new VivError('unavailable', `the connection to the daemon on ${socket} broke, which ended the command; see: viv status`, {
          cause: failure,
        });
    end(why); // no effect after `exit` or `error`
  });

  const control = (message: unknown) => {
    if (ws.readyState === ws.OPEN) ws.send(JSON.stringify(message));
  };
  return {
    stdin,
    stdout,
    stderr,
    started: started.promise,
    exit: exit.promise,
    resize: (rows, columns) => control({ type: 'resize', rows, columns }),
    signal: (name) => control({ type: 'signal', signal: name }),
    close: () => ws.terminate(),
  };
}

/** Sends bytes to the command in frames; resolves when they have left. */
async function send(ws: WebSocket, bytes: Buffer): Promise<void> {
  for (let from = 0; from < bytes.length; from += frameBytes) {
    const part = bytes.subarray(from, from + frameBytes);
    const frame = Buffer.allocUnsafe(part.length + 1);
    frame[0] = channel.stdin;
    part.copy(frame, 1);
    await new Promise<void>((resolve, reject) => ws.send(frame, (error) => (error ? reject(error) : resolve())));
  }
}
