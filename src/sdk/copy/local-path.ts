// Paths of this host as bytes: file names need not be UTF-8.
import type { Stats } from 'node:fs';
import { lstat, mkdir, stat } from 'node:fs/promises';

const slash = Buffer.from('/');

export const joinPath = (folder: Buffer, ...parts: readonly Buffer[]): Buffer =>
  parts.reduce((path, part) => Buffer.concat(path.at(-1) === slash[0] ? [path, part] : [path, slash, part]), folder);

/** The path without its last component. */
export function parentOf(path: Buffer): Buffer {
  const at = path.lastIndexOf(slash);
  return at > 0 ? path.subarray(0, at) : at === 0 ? slash : Buffer.from('.');
}

/** For messages. */
export const textOf = (path: Buffer): string => path.toString('utf8');

/** Without following a symbolic link. Null: there is nothing. */
export const entryAt = (path: Buffer): Promise<Stats | null> => lstat(path).catch(() => null);

const isFolder = (path: Buffer): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/**
 * Creates a folder, and those above it. Not with `recursive: true`, which loops forever where the system denies that a folder exists
 * (/proc). @param mode of the folder itself @returns whether it was created
 */
export async function makeFolder(path: Buffer, mode = 0o777): Promise<boolean> {
  if (await isFolder(path)) return false;
  const above = parentOf(path);
  if (!above.equals(path) && !(await isFolder(above))) await makeFolder(above);
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (await isFolder(path)) return false;
    throw error;
  }
}
