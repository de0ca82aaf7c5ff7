// The state of a VM's TPM (seeds and keys, sealed data, counters): a folder beside its disks. A snapshot has a copy of it, and so has every
// VM that is made from another: a copy of a TPM is the same TPM (docs/internals/security.md).
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { type Arch, MiB } from '../../contract/field.ts';
import type { VmPaths } from '../../host/paths.ts';
import { isProcess } from '../../host/process/start-ticks.ts';
import { hasTpm } from '../../qemu/args/tpm.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import { endTpm, findSwtpm, startTpm, type Tpm } from '../../qemu/tpm.ts';
import { own } from '../files.ts';
import type { VmRecord } from '../record.ts';
import { startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { rotate } from './serial-log.ts';

/** A VM of this architecture can have a TPM on this host. @throws invalid, missing_program */
export async function checkTpm(name: string, arch: Arch): Promise<void> {
  if (!hasTpm(arch)) throw new VivError('invalid', `${name} is for ${arch}, whose VMs cannot have a TPM. Leave --tpm out`);
  await findSwtpm();
}

/** Its state files; none without a folder. swtpm's lock and temporary files are no state. */
export const tpmFiles = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('tpm2-')).sort();

/** Starts the TPM of a VM that is about to start; null: it has none. Its folder is created the first time. */
export async function openTpm(record: VmRecord, { tpm: folder, tpmLog }: VmPaths): Promise<Tpm | null> {
  await endTpm(folder); // left by a start that failed
  if (!startSettings(record).tpm) return null;
  await mkdir(folder, { recursive: true });
  await own(folder, record, 0o700);
  await rotate(tpmLog, MiB);
  return startTpm({ binary: await findSwtpm(), folder, uid: record.uid, logFile: tpmLog });
}

/** Reports that the TPM has ended while its QEMU runs. It is expected to end with QEMU. */
export async function watchTpm(vm: Vm, qemu: QemuProcess, exited: Promise<unknown>): Promise<void> {
  await exited;
  if (vm.runtime.isEndExpected || vm.live?.process.pid !== qemu.pid || !(await isProcess(qemu.pid, qemu.startTicks))) return;
  const message = 'its TPM has ended, and the commands of its guest with it. It is started again with the VM';
  vm.report('vm.problem', message);
}

/**
 * Makes `to` a copy of `from`, or removes it where there is no `from`. Repeatable.
 * @param record the VM that owns the copy; null: the daemon does, in a snapshot
 */
export async function copyTpm(from: string, to: string, record: VmRecord | null): Promise<void> {
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
