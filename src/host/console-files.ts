// The built web console: `.build/console` of a checkout, `console` of the published package. scripts/build.ts makes it from web/.
import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isUsable } from './file/usable.ts';

/** Names that the build gives its files: nothing that could lead out of the folder. */
const name = /^(assets\/)?[\w-]+(\.[\w-]+)*$/;

/** Reads one of its files; null: there is none of that name, or the console has not been built. */
export async function consoleFile(path: string): Promise<Buffer | null> {
  if (!name.test(path)) return null;
  const folder = await consoleFolder();
  return folder === null ? null : readFile(join(folder, path)).catch(() => null);
}

/** Searches upwards from here: the source is two folders below the package's root, a bundle may be at another depth. */
async function consoleFolder(): Promise<string | null> {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    for (const found of [join(folder, '.build/console'), join(folder, 'console')])
      if (await isUsable(join(found, 'index.html'), constants.R_OK)) return found;
    if (folder === dirname(folder)) return null;
  }
}
