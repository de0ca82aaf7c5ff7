// Server-sent events: one block per event, `id` where it has a sequence number, comments that keep the connection alive.
// A slow reader is waited for; nothing is queued here. Ends with `event: end`, or `event: error` and an ErrorBody.
import type { ServerResponse } from 'node:http';
import type { VivError } from '../contract/errors.ts';
import { safeJson } from './json-text.ts';

const keepAliveMs = 15_000;
/** How long a refusal may take and still be answered with its own status. */
const firstMs = 100;

export interface EventStream {
  readonly events: AsyncIterable<unknown>;
  readonly response: ServerResponse;
  /** Aborts when the caller has gone or the daemon stops. */
  readonly signal: AbortSignal;
  readonly check: (event: unknown) => void;
  readonly explain: (error: unknown) => VivError;
}

/** Rejects, with nothing sent, when the first event already fails. */
export async function sendEvents({ events, response, signal, check, explain }: EventStream): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([next, new Promise((resolve) => (timer = setTimeout(resolve, firstMs)))]).finally(() => clearTimeout(timer));
  next.catch(() => {}); // awaited below
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  const keepAlive = setInterval(() => response.writableNeedDrain || response.write(': here\n\n'), keepAliveMs);
  try {
    for (;;) {
      const { done, value } = await next;
      if (signal.aborted) break;
      if (done) {
        response.write('event: end\ndata: {}\n\n');
        break;
      }
      check(value);
      const sequence = (value as { sequence?: unknown } | null)?.sequence;
      const id = typeof sequence === 'number' ? `id: ${sequence}\n` : '';
      if (!response.write(`${id}data: ${safeJson(value)}\n\n`)) await drained(response);
      if (signal.aborted) break;
      next = iterator.next();
    }
  } catch (error) {
    if (!signal.aborted) response.write(`event: error\ndata: ${safeJson(explain(error).toBody())}\n\n`);
  } finally {
    clearInterval(keepAlive);
    response.end();
    // The source listens to the same signal; it is not waited for, it may be in the middle of something.
    void iterator.return?.()?.catch(() => {});
  }
}

/** Resolves when there is room again, or the reader has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed || response.closed) return resolve();
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
