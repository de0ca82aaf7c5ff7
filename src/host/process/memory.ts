// The private memory of a process.
import { readFile } from 'node:fs/promises';

/** Private pages that it has written, in bytes (proc(5), status, RssAnon): of a fork, what it does not share with others. Null: it has ended. */
export async function ownMemory(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}
