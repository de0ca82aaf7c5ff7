// Where facts about this host are cached until its next boot, shared by all state directories of a user.
import { constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isUsable } from './usable.ts';

/**
 * A file in a folder that only this user can write and that a boot empties: /run/vivarium for root, /run/user/UID otherwise.
 * @param fallback where there is no such folder
 */
export async function bootCacheFile(name: string, uid: number, fallback: string): Promise<string> {
  const folder = uid === 0 ? '/run/vivarium' : `/run/user/${uid}`;
  if (uid === 0) await mkdir(folder, { recursive: true, mode: 0o711 }).catch(() => {}); // a read-only /run
  const usable = await isUsable(folder, constants.W_OK | constants.X_OK);
  return usable ? join(folder, uid === 0 ? name : `vivarium-${name}`) : join(fallback, name);
}
