// What an error thrown inside a task means to its caller. An error that no room has translated is a bug: logged with its chain, reported as one.
import type { Logger } from 'pino';
import { type ErrorBody, VivError } from '../contract/errors.ts';
import { StoreConflict, StoreFull } from '../store/store.ts';

/** Why steps are interrupted when the daemon stops: the task stays in the journal and the next daemon continues it. */
export class DaemonStopping extends Error {
  override readonly name = 'DaemonStopping';
  constructor() {
    super('the daemon is stopping; the task continues when it is back');
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
    return { code: 'busy', message: `${operation} was overtaken by another change of ${error.key}; try again` };
  }
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
    const { message } = error as Error;
    return { code: 'no_space', message: `${operation} failed because the host's disk is full (${message}); free some space and try again` };
  }
  log.error({ err: error, operation, task }, 'a step failed with an untranslated error');
  return {
    code: 'internal',
    message: `${operation} failed because of a bug in Vivarium; the daemon's log has the details under task ${task}`,
  };
}
