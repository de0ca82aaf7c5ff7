// Which CPUs a thread may run on (sched_setaffinity(2)), and which this host has.
import { readFile } from 'node:fs/promises';
import koffi from 'koffi';

const bytes = 512; // 4096 CPUs
const setAffinity = koffi.load(null).func('int sched_setaffinity(int thread, size_t bytes, const uint8_t *mask)') as (
  thread: number,
  bytes: number,
  mask: Uint8Array,
) => number;

/** @param cpus numbers. @returns false where the kernel refuses it: the thread has ended or is another user's, or none of the CPUs is there */
export function setThreadAffinity(thread: number, cpus: readonly number[]): boolean {
  const mask = new Uint8Array(bytes);
  for (const cpu of cpus) {
    const at = Math.floor(cpu / 8);
    mask[at] = (mask[at] ?? 0) | (1 << (cpu % 8));
  }
  return setAffinity(thread, bytes, mask) === 0;
}

/** The text of the CPUs that are online, such as `0-3`; null where it cannot be read. */
export const onlineCpus = (): Promise<string | null> =>
  readFile('/sys/devices/system/cpu/online', 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
