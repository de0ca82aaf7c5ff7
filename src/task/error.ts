// What an error thrown inside a task means to its caller. What nobody translated is a bug: logged with its chain, told plainly.
import type { Logger } from 'pino';
import { type ErrorBody, VivError } from '../contract/errors.ts';
import { StoreConflict, StoreFull } from '../store/store.ts';

/** Why steps are interrupted when the daemon stops: the task stays in the journal and the next daemon takes it up. */
export class DaemonStopping extends Error {
  override readonly name = 'DaemonStopping';
  constructor() {
    super('the daemon is stopping; the task goes on when it returns');
  }
}

export function errorBodyOf(error: unknown, operation: string, task: string, log: Logger): ErrorBody {
  if (error instanceof VivError) return error.toBody();
  if (error instanceof StoreFull) {
    return {
      code: 'no_space',
      message: `${operation} could not be recorded because the host's disk is full; free some space and try again`,
    };
  }
  if (error instanceof StoreConflict) {
    return { code: 'busy', message: `${operation} found that something it works on was changed meanwhile (${error.key}); try again` };
  }
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
    const { message } = error as Error;
    return { code: 'no_space', message: `${operation} met a full disk of the host (${message}); free some space and try again` };
  }
  log.error({ err: error, operation, task }, 'a step failed in a way nobody foresaw');
  return { code: 'internal', message: `${operation} failed because of a bug in Vivarium; the daemon's log tells more under task ${task}` };
}
