// Why a start failed: QEMU's own words say more than that it ended.
import { VivError } from '../../contract/errors.ts';
import { lastWords, type QemuProcess } from '../../qemu/process.ts';
import { missing } from '../files.ts';
import type { Vm } from '../vm.ts';

/** @returns the error to throw */
export async function explainFailure(error: unknown, vm: Vm, process: QemuProcess): Promise<unknown> {
  if (error instanceof VivError && error.code !== 'qemu_failed') return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const words = await lastWords(vm.paths.qemuLog, process.logOffset);
  // A backing file: only QEMU opens all of them.
  const [, gone] = /Could not open '(\/[^']+)': No such file or directory/.exec(words) ?? [];
  if (gone !== undefined) return missing(vm, gone);
  return new VivError('qemu_failed', `QEMU could not start ${vm.name}: ${words === '' ? error.message : words}`, { cause: error });
}
