// The control groups of a test host's VMs, as the system has them.
import { createHash } from 'node:crypto';
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const mounts = ['cpu', 'cpuset', 'memory', 'pids', 'blkio', ''].map((name) => join('/sys/fs/cgroup', name));

/** Folders of this host's groups, in every hierarchy below which there may be some; those of VMs after those above them. */
export async function groupFolders(stateDirectory: string): Promise<string[]> {
  const tag = `vivarium-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}`;
  const found: string[] = [];
  const walk = async (folder: string, depth: number, inside: boolean): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory()) continue;
      const path = join(folder, entry.name);
      const own = inside || entry.name === tag;
      if (own) found.push(path);
      if (own || depth < 3) await walk(path, depth + 1, own);
    }
  };
  for (const mount of mounts) await walk(mount, mount === '/sys/fs/cgroup' ? 3 : 0, false);
  return found;
}

/** For hosts whose daemon was killed. */
export async function removeGroups(stateDirectory: string): Promise<void> {
  for (const folder of (await groupFolders(stateDirectory)).reverse()) await rmdir(folder).catch(() => {}); // a thread that is ending leaves in a moment
}
