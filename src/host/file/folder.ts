// Folders with the mode that is asked for: the daemon's umask keeps everything else to its own user.
import { chmod, mkdir } from 'node:fs/promises';

/** Makes it, with those above it, where it is missing. @param mode 0o711 for those that VMs' own users pass through */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode });
  await chmod(folder, mode);
}
