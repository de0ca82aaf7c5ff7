// Who has a file open, and what locks are on it: for a test that finds it locked and cannot say by whom.
import { readdir, readFile, stat } from 'node:fs/promises';

/** A line for each descriptor: process, its first words, and what the kernel says of the descriptor. Root sees all. */
export async function fileHolders(file: string): Promise<string> {
  const { dev, ino } = await stat(file);
  const lines: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const open = await stat(`/proc/${pid}/fd/${fd}`).catch(() => null);
      if (open?.ino !== ino || open.dev !== dev) continue;
      const [words, about] = await Promise.all(
        [`cmdline`, `fdinfo/${fd}`].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
      );
      lines.push(`${pid} ${words?.split('\0').slice(0, 3).join(' ')}: ${about?.trim().split('\n').join(', ')}`);
    }
  return lines.length > 0 ? lines.join('\n') : 'nobody has it open now';
}
