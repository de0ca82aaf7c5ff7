// The bytes of a download, with the daemon's own words when it fails midway: they come in the answer's trailer.
import type { IncomingMessage } from 'node:http';
import { finished, Readable } from 'node:stream';
import { errorTrailer } from '../contract/frame.ts';
import { errorFrom, translate } from './http.ts';

/** What was sent before a failure can be read; then the stream fails with the daemon's error, a broken connection with `unavailable`. */
export function download(answer: IncomingMessage, socket: string, signal?: AbortSignal): Readable {
  let desired = false;
  let failure: unknown;
  const stream = new Readable({
    highWaterMark: 1, // the answer keeps what is read ahead
    read() {
      desired = true;
      if (failure === undefined) pass();
      else process.nextTick(() => stream.destroy(failure as Error)); // the last bytes are handed over in this tick
    },
    destroy(error, done) {
      answer.destroy();
      done(error);
    },
  });
  const pass = () => {
    const chunk: Buffer | null = answer.read();
    if (chunk === null) return;
    desired = false;
    stream.push(chunk);
  };
  answer.on('readable', () => desired && pass());
  finished(answer, (error) => {
    const trailer = answer.trailers[errorTrailer];
    if (error) failure = translate(error, socket, signal);
    else if (trailer !== undefined) failure = errorFrom(decodeURIComponent(trailer), 500);
    if (failure === undefined) stream.push(null);
    else if (desired) stream.destroy(failure as Error);
  });
  return stream;
}
