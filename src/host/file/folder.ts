// Creating folders with an explicit mode; the daemon's umask makes everything else private.
import { chmod, mkdir } from 'node:fs/promises';

/** Creates a folder and its parents where they are missing. @param mode 0o711 for folders that the users of VMs traverse */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode });
  await chmod(folder, mode);
}
