// Whether a file exists and is accessible.
import { access } from 'node:fs/promises';

/** @param mode constants.R_OK and the like (default: it exists) */
export const isUsable = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );
