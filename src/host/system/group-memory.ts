// The memory that a control group leaves to this process and to the VMs that it starts: in a container, or below a limit of systemd's.
// A limit of any group above holds too, so the narrowest counts (Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst).
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Memory {
  readonly totalBytes: number;
  /** What programs can still be given without swapping. */
  readonly availableBytes: number;
}

/** Files of one group's memory controller. */
const names = {
  1: { limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes', cache: 'total_inactive_file' },
  2: { limit: 'memory.max', used: 'memory.current', cache: 'inactive_file' },
} as const;

export interface GroupFolders {
  readonly version: 1 | 2;
  /** From the innermost to the top of the hierarchy. */
  readonly folders: readonly string[];
}

/**
 * The groups whose limits hold for VMs. With version 1 their groups are below this process's own. With version 2 root's are at the top of the
 * hierarchy, and another user's beside this process's own. Pure.
 * @param mountinfo text of /proc/self/mountinfo @param cgroup text of /proc/self/cgroup
 */
export function groupsAbove(mountinfo: string, cgroup: string, isRoot: boolean): GroupFolders | null {
  const mountOf = (type: RegExp) => {
    for (const line of mountinfo.split('\n')) {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root, folder] = before.split(' ');
      if (type.test(after) && root !== undefined && folder !== undefined) return { root, folder };
    }
    return null;
  };
  const groupOf = (controller: string) =>
    cgroup
      .split('\n')
      .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
      .find((found) => (controller === '' ? found?.[1] === '' : found?.[1]?.split(',').includes(controller)))?.[2];
  const chain = ({ root, folder }: { root: string; folder: string }, group: string): string[] => {
    const own = join(folder, root === '/' ? group : group.slice(root.length));
    const folders: string[] = [];
    for (let at = own; at.startsWith(folder); at = dirname(at)) folders.push(at);
    return folders;
  };
  const v1 = mountOf(/^cgroup .*\bmemory\b/);
  const v1Group = groupOf('memory');
  if (v1 && v1Group !== undefined) return { version: 1, folders: chain(v1, v1Group) };
  const v2 = mountOf(/^cgroup2 /);
  const v2Group = groupOf('');
  if (!v2 || v2Group === undefined) return null;
  const folders = chain(v2, v2Group);
  return { version: 2, folders: isRoot ? folders.slice(-1) : folders.slice(1) };
}

/** One group's limit and what is left of it; page cache that can be dropped is left. Null: it has no limit. Pure. */
export function memoryOfGroup(version: 1 | 2, { limit, used, stat }: { limit: string; used: string; stat: string }): Memory | null {
  const totalBytes = Number(limit.trim() || Number.NaN); // "max" is no number
  const usedBytes = Number(used.trim() || Number.NaN);
  // Without a limit, version 1 has the largest number of pages that it can count.
  if (!Number.isFinite(totalBytes) || !Number.isFinite(usedBytes) || totalBytes >= 2 ** 62) return null;
  const cache = Number(new RegExp(`^${names[version].cache} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  return { totalBytes, availableBytes: Math.max(0, totalBytes - Math.max(0, usedBytes - cache)) };
}

/** Both figures as the narrowest of them has it. Pure. */
export const narrowest = (all: readonly [Memory, ...Memory[]]): Memory => ({
  totalBytes: Math.min(...all.map(({ totalBytes }) => totalBytes)),
  availableBytes: Math.min(...all.map(({ availableBytes }) => availableBytes)),
});

let above: Promise<GroupFolders | null> | null = null;

/** The limits that hold now. */
export async function groupMemory(): Promise<Memory[]> {
  above ??= Promise.all(['mountinfo', 'cgroup'].map((name) => textOf(`/proc/self/${name}`))).then(([mountinfo = '', cgroup = '']) =>
    groupsAbove(mountinfo, cgroup, process.getuid?.() === 0),
  );
  const groups = await above;
  if (groups === null) return [];
  const { version, folders } = groups;
  const read = folders.map(async (folder) => {
    const limit = await textOf(join(folder, names[version].limit));
    if (limit === '' || limit.trim() === 'max') return null;
    const [used, stat] = await Promise.all([textOf(join(folder, names[version].used)), textOf(join(folder, 'memory.stat'))]);
    return memoryOfGroup(version, { limit, used, stat });
  });
  return (await Promise.all(read)).filter((memory) => memory !== null);
}

const textOf = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
