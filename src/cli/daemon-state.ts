// Whether a daemon is there: what an error of the connection says, and whether its process lives.
import { VivError } from '../contract/errors.ts';

export const noDaemon = (error: unknown): boolean => error instanceof VivError && error.code === 'unavailable';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
