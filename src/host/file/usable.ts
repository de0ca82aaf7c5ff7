// Whether a file is there and may be used.
import { access } from 'node:fs/promises';

/** @param mode what for (constants.R_OK and the like); left out: it is there */
export const isUsable = (path: string, mode?: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );
