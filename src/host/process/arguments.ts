// What a process was started with.
import { readFile } from 'node:fs/promises';

/** For so many times 2 ms a process that executes another program is waited for. */
const mostLooks = 50;

/**
 * Each argument ends with a NUL. Empty: there is no such process, or none that tells. One that is executing the next of its programs at this
 * moment has memory and no arguments, and is looked at again; kernel threads and the dead have neither.
 */
export async function argumentsOf(pid: number): Promise<string> {
  const of = (file: 'cmdline' | 'statm'): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  for (let tries = 1; ; tries++) {
    const line = await of('cmdline');
    if (line !== '' || tries === mostLooks || /^(0 |$)/.test(await of('statm'))) return line;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
