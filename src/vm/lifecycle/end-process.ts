// Ending a QEMU process, and its TPM's with it.
import type { VmPaths } from '../../host/paths.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import { endTpm } from '../../qemu/tpm.ts';

/** By force. Repeatable. @throws timeout */
export async function endProcess(process: QemuProcess, { tpm }: Pick<VmPaths, 'tpm'>): Promise<void> {
  await process.kill();
  await endTpm(tpm);
}
