// The arguments of a process.
import { readFile } from 'node:fs/promises';

/** How often a process that is executing another program is read again, every 2 ms. */
const mostLooks = 50;

/**
 * Each argument ends with a NUL. Empty: there is no such process, or its arguments cannot be read. A process that is calling execve(2) has
 * memory but no arguments yet, and is read again; kernel threads and zombies have neither.
 */
export async function argumentsOf(pid: number): Promise<string> {
  const of = (file: 'cmdline' | 'statm'): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  for (let tries = 1; ; tries++) {
    const line = await of('cmdline');
    if (line !== '' || tries === mostLooks || /^(0 |$)/.test(await of('statm'))) return line;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
