// Free space of a file system, and the error when there is too little.
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VivError } from '../contract/errors.ts';

export interface Space {
  readonly totalBytes: number;
  /** What this process may write. */
  readonly freeBytes: number;
}

/** Of the file system that `path` is (or, while it does not exist, will be) on. */
export async function freeSpace(path: string): Promise<Space> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      const { bsize, blocks, bavail } = await statfs(folder);
      return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error;
    }
  }
}

/** @param what named in the error: `the image debian:12` @throws no_space where fewer than `bytes` can be written beside `path` */
export async function requireSpace(path: string, bytes: number, what: string): Promise<void> {
  const { freeBytes } = await freeSpace(path);
  if (freeBytes >= bytes) return;
  throw new VivError(
    'no_space',
    `there is not enough space for ${what}: it needs ${mib(bytes)}, and ${mib(freeBytes)} are free at ${path}. Free some space and try again`,
    {
      details: { neededBytes: bytes, freeBytes },
    },
  );
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
