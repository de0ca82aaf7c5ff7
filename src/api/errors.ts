// The only place that turns errors into responses. What no room has translated is a bug: logged with its chain, answered as internal.
import type { Logger } from 'pino';
import { VivError } from '../contract/errors.ts';

/** Fastify's own refusals, before an operation is reached. */
interface HttpError extends Error {
  code?: string;
  statusCode?: number;
}

/** The error that the caller gets. */
export function toVivError(error: unknown, log: Logger, operation: string): VivError {
  if (error instanceof VivError) {
    if (error.code === 'internal') log.error({ operation, err: chain(error) }, 'operation failed');
    return error;
  }
  const { code, statusCode } = (error ?? {}) as HttpError;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new VivError('too_large', 'the request body is larger than 2 MiB');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new VivError('invalid', `cannot read the request: ${(error as Error).message}`);
  log.error({ operation, err: chain(error) }, 'unexpected error');
  return new VivError(
    'internal',
    `${operation} failed unexpectedly: ${brief(error)}. This is a bug in Vivarium; the daemon’s log has the details`,
    { cause: error },
  );
}

const brief = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 300);

/** The error and its causes, for the log. */
function chain(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let at = error; at !== undefined && at !== null && found.length < 10; at = (at as Error).cause) {
    found.push(at instanceof Error ? { name: at.name, code: (at as HttpError).code, message: at.message, stack: at.stack } : at);
    if (!(at instanceof Error)) break;
  }
  return found;
}
