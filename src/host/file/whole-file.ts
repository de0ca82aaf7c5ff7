// Small files that are written and read as a whole: a reader sees the old content or the new one.
import { constants } from 'node:fs';
import { chmod, open, rename, writeFile } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';

/** @param mode default: this process' user alone may read it */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await chmod(`${file}.new`, mode);
  await rename(`${file}.new`, file);
}

const longestOwnFile = 1024 * 1024;

/** Reads a file that only this process' user can have written. @throws forbidden where another user owns it, and errors of open(2) */
export async function readOwnFile(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { uid, mode, size } = await handle.stat();
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0 || size > longestOwnFile)
      throw new VivError('forbidden', `${file} is not trusted: another user can write it`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
