// A small file of ours, written so that whoever reads it sees what was there or what is there now, and never a part.
import { rename, writeFile } from 'node:fs/promises';

/** @param mode of a new file; what the process' mask leaves of 0o666 by default */
export async function writeWhole(file: string, text: string, mode?: number): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await rename(`${file}.new`, file);
}
