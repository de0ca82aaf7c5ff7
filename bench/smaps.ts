// What a VM's QEMU takes of the host's memory: its share of the guest's pages, its translated code, and all the rest.
import { readFileSync } from 'node:fs';

/** Proportional (PSS): what n processes have in common counts 1/n for each. */
export function ownMemory(pid: number): { guestMiB: number; codeMiB: number; restMiB: number; parts: [string, number][] } {
  let guest = 0;
  let code = 0;
  const rest = new Map<string, number>();
  let where = '';
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line);
    if (mapping)
      where =
        mapping[2]?.includes('vivarium-memory') || mapping[2]?.endsWith('/memory')
          ? 'guest'
          : mapping[1] === 'rwxp'
            ? 'code'
            : mapping[2] || 'anonymous';
    const pss = Number(/^Pss:\s+(\d+) kB$/.exec(line)?.[1] ?? 0);
    if (where === 'guest') guest += pss;
    else if (where === 'code') code += pss;
    else rest.set(where, (rest.get(where) ?? 0) + pss);
  }
  const parts = [...rest].sort((a, b) => b[1] - a[1]).map(([name, kib]): [string, number] => [name, kib / 1024]);
  return { guestMiB: guest / 1024, codeMiB: code / 1024, restMiB: parts.reduce((sum, [, mib]) => sum + mib, 0), parts };
}
