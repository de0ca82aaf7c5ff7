// The kernel's same-page merging (Documentation/admin-guide/mm/ksm.rst).
import { readFile, writeFile } from 'node:fs/promises';

const switchFile = '/sys/kernel/mm/ksm/run';

/** Null: this kernel has none. */
export const isKsmOn = (): Promise<boolean | null> =>
  readFile(switchFile, 'utf8').then(
    (text) => text.trim() === '1',
    () => null,
  );

/** @returns whether it is enabled now */
export const switchKsm = (on: boolean): Promise<boolean> =>
  writeFile(switchFile, on ? '1' : '0').then(
    () => true,
    () => false,
  );
