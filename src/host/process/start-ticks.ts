// Distinguishing a process from a later one with the same pid, by its start time.
import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks after boot (proc(5), stat field 22); null when there is no such process or all its threads have ended (before that it still holds its files). */
export async function startTicksOf(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The second field, in parentheses, may hold anything; the third is the state.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'X' || (fields[0] === 'Z' && (await readdir(`/proc/${pid}/task`).catch(() => [])).length <= 1)) return null;
  return Number(fields[19]);
}

/** Whether the process that was started then is alive. */
export const isProcess = async (pid: number, startTicks: number): Promise<boolean> => (await startTicksOf(pid)) === startTicks;
