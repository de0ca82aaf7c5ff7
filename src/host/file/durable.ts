// Flushing, so that written data survives a power failure.
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
