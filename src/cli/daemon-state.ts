// Whether a daemon is there: what an error of the connection says, and whether its process lives.
import { VivError } from '../contract/errors.ts';
import type { Client } from '../sdk/client.ts';
import type { Context } from './context.ts';

export const noDaemon = (error: unknown): boolean => error instanceof VivError && error.code === 'unavailable';

/** Null: none is running, and none is started. */
export function clientIfRunning(context: Context): Promise<Client | null> {
  return context.runningClient().catch((error) => {
    if (noDaemon(error)) return null;
    throw error;
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
