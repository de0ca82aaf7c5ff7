// Which cgroup hierarchies this host has, and where the daemon may create groups in them. Pure but for `findHierarchies`.
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const controllers = ['cpu', 'cpuset', 'memory', 'pids', 'io'] as const;
export type Controller = (typeof controllers)[number];

export interface Hierarchies {
  /** Mounted v1 hierarchies: controller -> the folder below which groups are created. `io` is v1's blkio. */
  readonly v1: ReadonlyMap<Controller, string>;
  /** The unified hierarchy: the folder below which groups are created, and its controllers. */
  readonly v2: { readonly folder: string; readonly controllers: readonly Controller[] } | null;
}

interface Mount {
  readonly root: string;
  readonly folder: string;
  readonly type: 'cgroup' | 'cgroup2';
  readonly options: readonly string[];
}

/** The cgroup mounts of /proc/self/mountinfo (proc(5)): fields 4 and 5, and after the dash the type and the super options. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, folder] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if ((type !== 'cgroup' && type !== 'cgroup2') || root === undefined || folder === undefined) return [];
    return [{ root, folder: folder.replaceAll('\\040', ' '), type, options: options.split(',') }];
  });
}

/** /proc/self/cgroup: v1 controller, or '' for v2 -> the group of this process. */
export function parseOwnGroups(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    for (const name of names.split(',')) groups.set(name, path);
  }
  return groups;
}

const v1Names: Record<Controller, string> = { cpu: 'cpu', cpuset: 'cpuset', memory: 'memory', pids: 'pids', io: 'blkio' };

const below = ({ root, folder }: Mount, group: string) => join(folder, root === '/' ? group : group.slice(root.length));

/** Where this process is in each v1 hierarchy, and in the unified one. */
export function locate(mounts: readonly Mount[], own: ReadonlyMap<string, string>): { v1: Map<Controller, string>; v2: string | null } {
  const v1 = new Map<Controller, string>();
  for (const controller of controllers) {
    const name = v1Names[controller];
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(name));
    if (mount) v1.set(controller, below(mount, own.get(name) ?? '/'));
  }
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  return { v1, v2: unified ? below(unified, own.get('') ?? '/') : null };
}

/** @param isRoot root creates its groups at the top, anybody else in the highest group that was delegated to him */
export async function findHierarchies(isRoot: boolean): Promise<Hierarchies> {
  const [mountinfo, cgroup] = await Promise.all(
    ['mountinfo', 'cgroup'].map((name) => readFile(`/proc/self/${name}`, 'utf8').catch(() => '')),
  );
  const mounts = parseMounts(mountinfo ?? '');
  const own = locate(mounts, parseOwnGroups(cgroup ?? ''));
  const top = (folder: string) => mounts.find((mount) => folder.startsWith(mount.folder))?.folder ?? folder;
  const v1 = new Map<Controller, string>();
  for (const [controller, folder] of own.v1) {
    // The limits of a container hold for its VMs too: groups are created below the daemon's own.
    const at = isRoot ? folder : null;
    if (at !== null && (await isWritable(at))) v1.set(controller, at);
  }
  return { v1, v2: own.v2 === null ? null : await unifiedAt(isRoot ? top(own.v2) : await delegated(own.v2, top(own.v2))) };
}

async function unifiedAt(folder: string | null): Promise<Hierarchies['v2']> {
  if (folder === null || !(await isWritable(folder))) return null;
  const names = (await readFile(join(folder, 'cgroup.controllers'), 'utf8').catch(() => '')).trim().split(' ');
  const has = controllers.filter((name) => names.includes(name));
  return has.length === 0 ? null : { folder, controllers: has };
}

/** The highest group above the daemon's own that its user may create groups and move processes in; null: none. */
async function delegated(own: string, top: string): Promise<string | null> {
  let found: string | null = null;
  for (let folder = own; folder.startsWith(top) && folder !== top; folder = dirname(folder)) {
    if (!(await isWritable(folder)) || !(await isWritable(join(folder, 'cgroup.procs')))) break;
    found = folder;
  }
  // A group that has processes of its own cannot share its controllers out (cgroups(7), "no internal processes").
  return found === null || found === own ? null : found;
}

const isWritable = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
