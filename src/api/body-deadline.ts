// Deadlines of what a client sends: a request's body has to arrive in time, and an upload must not be silent for long.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VivError } from '../contract/errors.ts';

/** How long a body of at most 2 MiB may take. */
const bodyMs = 30_000;
/** How long an upload may send nothing: its source may be a slow pipe. */
const uploadIdleMs = 600_000;

export interface BodyDeadlines {
  readonly bodyMs: number;
  readonly uploadIdleMs: number;
}

export const usualDeadlines: BodyDeadlines = { bodyMs, uploadIdleMs };

/**
 * @param isUpload whether the request's route takes a stream
 * @param refuse answers with the error; the connection is closed afterwards
 */
export function addBodyDeadlines(
  app: FastifyInstance,
  { bodyMs, uploadIdleMs }: BodyDeadlines,
  isUpload: (request: FastifyRequest) => boolean,
  refuse: (reply: FastifyReply, error: VivError) => void,
): void {
  const timers = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  app.addHook('onRequest', async (request, reply) => {
    if (request.raw.headers['content-length'] === undefined && request.raw.headers['transfer-encoding'] === undefined) return;
    if (isUpload(request)) {
      request.raw.setTimeout(uploadIdleMs, () =>
        request.raw.destroy(new VivError('timeout', `the upload sent nothing for ${uploadIdleMs / 1000} s`)),
      );
      return;
    }
    const timer = setTimeout(() => {
      if (reply.sent || reply.raw.headersSent) return; // answered before its body was read, such as one that is too large
      refuse(reply, new VivError('timeout', `the request body did not arrive within ${bodyMs / 1000} s`));
    }, bodyMs);
    timers.set(request, timer);
    reply.raw.once('close', () => clearTimeout(timer));
  });
  app.addHook('preValidation', async (request) => clearTimeout(timers.get(request)));
}
