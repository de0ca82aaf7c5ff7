// Requests that are no HTTP, or that Node refuses before a route sees them, answered in the contract's shape of errors.
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { VivError } from '../contract/errors.ts';

/** Answers a request that could not be parsed, and closes its connection. */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  end(socket, meaningOf(error));
}

function meaningOf({ code, message }: NodeJS.ErrnoException): VivError {
  if (code === 'HPE_HEADER_OVERFLOW') return new VivError('too_large', 'the request headers are larger than 64 KiB');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new VivError('timeout', 'the request headers did not arrive in time');
  return new VivError('invalid', `cannot parse the request as HTTP: ${message.replace(/^Parse Error: /, '')}`);
}

/** What Node would answer by itself, without a body. */
export function answerRefusals(server: Server): void {
  server.on('checkExpectation', (request, response) => {
    const { status, text } = written(new VivError('invalid', `cannot meet the expectation ${JSON.stringify(request.headers.expect)}`));
    response
      .writeHead(status, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': Buffer.byteLength(text),
        connection: 'close',
      })
      .end(text);
  });
  server.on('connect', (_request, socket: Duplex) => end(socket, new VivError('invalid', 'CONNECT is not supported')));
}

const written = (error: VivError) => ({ status: error.status, text: JSON.stringify(error.toBody()) });

function end(socket: Duplex, error: VivError): void {
  const { status, text } = written(error);
  socket.end(
    `HTTP/1.1 ${status} ${error.code}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
