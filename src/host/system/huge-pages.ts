// The host's pool of huge pages of the usual size.
import { readFile } from 'node:fs/promises';

/** Free huge pages, in bytes; 0 where the kernel has none. */
export async function freeHugePages(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const figure = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return figure('HugePages_Free') * figure('Hugepagesize') * 1024;
}
