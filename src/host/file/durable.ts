// What has been written survives a power failure from here on.
import { open } from 'node:fs/promises';

/** Flushes a file or folder to the disk. */
export async function makeDurable(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
