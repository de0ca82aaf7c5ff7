// What a machine's TPM keeps (seeds and keys, what is sealed by them, counters): a folder of its own beside its disks. A point has a
// copy of it, and so has every machine that is made from another: a copy of a TPM is the same TPM (docs/security.md).
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import { hasTpm } from '../qemu/args/tpm.ts';
import { findSwtpm } from '../qemu/tpm.ts';
import { own } from './files.ts';
import type { MachineRecord } from './record.ts';

/** That a machine could have one here. @throws invalid, missing_program */
export async function checkTpm(name: string, arch: Arch): Promise<void> {
  if (!hasTpm(arch)) throw new VivError('invalid', `${name} is made for ${arch}, whose machines have no TPM here; leave it out`);
  await findSwtpm();
}

/** Its files; none where there is no folder. swtpm's lock is no state. */
export const tpmFiles = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.')).sort();

/** Where swtpm runs in, made when the machine is started with a TPM for the first time. */
export async function makeTpmFolder(folder: string, record: MachineRecord): Promise<void> {
  await mkdir(folder, { recursive: true });
  await own(folder, record, 0o700);
}

/**
 * Makes `to` what `from` is, or removes it where there is no `from`. Repeatable.
 * @param record the machine whose it will be; null: the daemon's, in a point
 */
export async function copyTpm(from: string, to: string, record: MachineRecord | null): Promise<void> {
  const files = await tpmFiles(from);
  const part = `${to}.part`;
  await rm(part, { recursive: true, force: true });
  if (files.length > 0) {
    await mkdir(part, { mode: 0o700 });
    for (const name of files) {
      await copyFile(join(from, name), join(part, name));
      if (record !== null) await own(join(part, name), record, 0o600);
    }
    if (record !== null) await own(part, record, 0o700);
  }
  await rm(to, { recursive: true, force: true });
  if (files.length > 0) await rename(part, to);
}
