// Files of an image's root, made with the modes that a guest needs, whatever the daemon's umask.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';

/** Makes a folder and those above it that are missing; all of them may be entered and read by every user. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  let at = first;
  await chmod(at, 0o755);
  for (const part of relative(first, path).split(sep).filter(Boolean)) {
    at = `${at}${sep}${part}`;
    await chmod(at, 0o755);
  }
}

/** @param mode default: readable by every user */
export async function putFile(path: string, content: string | Buffer, mode = 0o644): Promise<void> {
  await makeFolder(dirname(path));
  await writeFile(path, content);
  await chmod(path, mode);
}
