// Bytes in and out with back-pressure. A stream that fails midway never ends as a short answer: a caller that says `TE: trailers`
// gets the error as the trailer `viv-error`, everybody else a broken connection.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { FastifyReply } from 'fastify';
import type { VivError } from '../contract/errors.ts';
import { errorTrailer } from '../contract/frame.ts';
import type { Download } from '../operations/handler.ts';
import { safeJson } from './json-text.ts';

/** How long a refusal may take and still be answered with its own status. */
const firstMs = 1000;
/** How long a refused upload is read and thrown away, so that its sender gets to see the answer. */
const lingerMs = 2000;

/** Rejects, with nothing sent, when the stream fails before its first byte. */
export async function sendStream(
  download: Download,
  response: ServerResponse,
  signal: AbortSignal,
  explain: (error: unknown) => VivError,
): Promise<void> {
  const { stream } = download;
  const trailers = /(^|[\s,])trailers\b/i.test(String(response.req.headers.te ?? ''));
  const stop = () => stream.destroy(signal.reason);
  response.once('close', () => stream.destroy());
  signal.addEventListener('abort', stop, { once: true });
  try {
    await firstBytes(stream);
    response.writeHead(200, {
      'content-type': download.contentType,
      'cache-control': 'no-store',
      ...(trailers ? { trailer: errorTrailer } : {}),
    });
    response.flushHeaders();
    stream.pipe(response, { end: false });
    await finished(stream).then(
      () => response.end(),
      (error: unknown) => {
        if (response.destroyed) return; // the reader has gone
        const why = explain(error);
        if (!trailers) return void response.destroy();
        response.addTrailers({ [errorTrailer]: encodeURIComponent(safeJson(why.toBody())) });
        response.end();
      },
    );
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Resolves when there is something to send, the stream has ended, or it takes its time. */
function firstBytes(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.errored) return reject(stream.errored);
    if (stream.readableLength > 0 || stream.readableEnded) return resolve();
    const timer = setTimeout(done, firstMs);
    function done(error?: Error) {
      clearTimeout(timer);
      stream.off('readable', ready).off('end', ready).off('error', done).off('close', ready);
      if (error) reject(error);
      else resolve();
    }
    const ready = () => done();
    stream.on('readable', ready).on('end', ready).on('error', done).on('close', ready);
  });
}

/** After the answer to an upload that was not read to its end: the rest is thrown away for a moment, then the connection ends. */
export function settleUpload(request: IncomingMessage, reply: FastifyReply): void {
  if (request.complete || request.destroyed) return;
  reply.header('connection', 'close');
  request.resume();
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  request.once('close', () => clearTimeout(timer));
}
