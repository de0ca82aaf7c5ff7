// Files of /proc that are read again and again: kept open, because reading one anew at its beginning costs a third of opening it. A
// descriptor belongs to the process or thread that it was opened for, so a reused id is never taken for it: reads fail with ESRCH.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const shared = Buffer.alloc(16 * 1024);

export class ProcFile {
  readonly #path: string;
  #fd: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Its current content (16 KiB at most); null where it cannot be read: the process has ended, or the kernel has no such file. */
  read(): string | null {
    try {
      this.#fd ??= openSync(this.#path, 'r');
      return shared.toString('latin1', 0, readSync(this.#fd, shared, 0, shared.length, 0));
    } catch {
      this.close();
      return null;
    }
  }

  close(): void {
    if (this.#fd === null) return;
    const fd = this.#fd;
    this.#fd = null;
    closeSync(fd);
  }
}

/** The content of a file of /proc; null where it cannot be read. Not kept open: an open file of net/ keeps its network namespace alive. */
export function readProcFile(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Ids and names of a process's threads; empty where it has ended. */
export function threadsOf(pid: number): { id: number; name: string }[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((id) => {
      try {
        return [{ id: Number(id), name: readFileSync(`/proc/${pid}/task/${id}/comm`, 'latin1').trimEnd() }];
      } catch {
        return []; // it has ended
      }
    });
  } catch {
    return [];
  }
}

/** How a process's memory is shared with others. The kernel walks all its pages for it (milliseconds for each GiB), in a thread of the pool. */
export const readSmapsRollup = (pid: number): Promise<string | null> => readFile(`/proc/${pid}/smaps_rollup`, 'latin1').catch(() => null);
