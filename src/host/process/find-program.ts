// Where a program is, as the shell would find it.
import { constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isUsable } from '../file/usable.ts';

/** Null where it is not installed. An ordinary user's PATH may lack the sbin folders, where some programs are. */
export async function findProgram(name: string, env: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  const folders = [...(env['PATH'] ?? '/usr/bin:/bin').split(delimiter), '/usr/sbin', '/sbin'].filter((folder) => folder !== '');
  for (const path of name.includes('/') ? [name] : folders.map((folder) => join(folder, name))) {
    if (await mayRun(path)) return path;
  }
  return null;
}

const mayRun = (path: string): Promise<boolean> => isUsable(path, constants.X_OK);
