// Whether a daemon answers on a socket.
import { createConnection } from 'node:net';
import { VivError } from '../contract/errors.ts';
import { translate } from './http.ts';

const knockDeadlineMs = 5000;

/**
 * Resolves when a daemon answers on the socket. That a connection is accepted says too little: when a daemon is killed while it
 * starts a program, its listening socket lives on in the half-started child for a moment.
 */
export function knock(socket: string, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stream = createConnection({ path: socket, ...(signal ? { signal } : {}) });
    stream.setTimeout(knockDeadlineMs, () => stream.destroy(new Error(`it did not answer within ${knockDeadlineMs} ms`)));
    stream.once('connect', () => stream.write('GET /v1/host/status HTTP/1.1\r\nHost: viv\r\nConnection: close\r\n\r\n'));
    stream.once('data', () => {
      resolve();
      stream.destroy();
    });
    stream.once('error', (error) => reject(translate(error, socket, signal)));
    stream.once('close', () =>
      reject(new VivError('unavailable', `the daemon on ${socket} closed the connection before it answered; see: viv status`)),
    );
  });
}
