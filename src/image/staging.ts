// A task's staging folder: its name and its removal. The same work has the same folder, so that it continues after an interruption.
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { runOk } from '../host/process/run.ts';
import { asOwnRoot } from './build/user-namespace.ts';

export function stagingKey(verb: string, ...what: readonly string[]): string {
  return `${verb}-${createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16)}`;
}

/**
 * Removes it, or what is in it. Where a build as an ordinary user was killed, some of that belongs to uids which are the user's in a
 * namespace only.
 */
export async function removeStaged(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (process.getuid?.() === 0 || (code !== 'EACCES' && code !== 'EPERM' && code !== 'ENOTEMPTY')) throw cause;
    const [program, ...args] = [...asOwnRoot, 'rm', '-rf', '--', folder];
    await runOk(program, args, { timeoutMs: 600_000 });
  }
}
