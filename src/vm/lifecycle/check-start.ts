// Everything that would make a start fail is checked before anything changes.
import { availableParallelism } from 'node:os';
import { VivError } from '../../contract/errors.ts';
import { GiB, MiB } from '../../contract/field.ts';
import { availableMemory } from '../../host/system/memory.ts';
import { findQemu } from '../../qemu/binary.ts';
import { findFirmware } from '../../qemu/firmware-files.ts';
import { findSwtpm } from '../../qemu/tpm.ts';
import { filesOfSnapshot } from '../capture/snapshot-files.ts';
import { checkFiles } from '../files.ts';
import { admitStart } from '../resource/admit.ts';
import { checkAccelerator, checkSettings } from '../resource/check.ts';
import { checkMerging } from '../resource/merging.ts';
import type { Uses } from '../services.ts';
import { startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';

/** What QEMU needs beside the guest's memory: measured 60-90 MiB for q35 with VGA. */
export const overheadBytes = 96 * MiB;

const inUnits = (bytes: number): string => (bytes >= 10 * GiB ? `${Math.round(bytes / GiB)} GiB` : `${Math.ceil(bytes / MiB)} MiB`);

const toStart = 'Stop another VM, or give this one less memory (--memory, or viv set NAME memory=SIZE)';

/** @param guestBytes of each VM that is not in memory already @throws no_memory */
export async function checkMemory(name: string, guestBytes: number, count: number, { bus }: Uses<'bus'>, remedy = toStart): Promise<void> {
  const needed = (guestBytes + overheadBytes) * count;
  if (needed <= (await availableMemory())) return;
  await bus.emit('host.memory-needed', { bytes: needed });
  const free = await availableMemory();
  if (needed <= free) return;
  throw new VivError('no_memory', `${name} needs ${inUnits(needed)} of memory and the host has ${inUnits(free)} available. ${remedy}`, {
    details: { neededBytes: needed, availableBytes: free },
  });
}

/** @returns the accelerator that it gets @throws what would make the start fail */
export async function checkStart(
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'host' | 'paths' | 'bus' | 'resources'>,
): Promise<{ accel: 'kvm' | 'tcg' }> {
  const { arch } = vm.record;
  const settings = startSettings(vm.record);
  const accel = await services.host.accelerator(settings.accel);
  checkSettings(vm.record, services.resources.enforcer.hostCpus);
  checkAccelerator({ name: vm.name, settings }, accel);
  checkMerging(vm, services);
  await findQemu(arch);
  if (settings.firmware === 'uefi') await findFirmware(arch);
  if (settings.tpm) await findSwtpm();
  await checkFiles(vm.record);
  checkSuspendedState(vm, services);
  // A VM that resumes from a snapshot shares its memory with others until it writes to it.
  await admitStart(vm.name, vm.record, 1, vm.record.resumeFrom !== null, services);
  await checkMemory(vm.name, vm.record.resumeFrom === null ? settings.memoryBytes : 0, 1, services);
  if (settings.cpus > Math.max(availableParallelism() * 16, 64))
    throw new VivError(
      'invalid',
      `cannot start ${vm.name}: it has ${settings.cpus} CPUs and this host ${availableParallelism()}. Set fewer`,
    );
  return { accel };
}

/** The suspended state is not known to be damaged. @throws corrupt */
function checkSuspendedState({ name, record }: Vm, { snapshots, checks, paths }: Uses<'snapshots' | 'checks' | 'paths'>): void {
  const snapshot = record.state === 'suspended' ? snapshots.byId(record.resumeFrom ?? '') : undefined;
  const known = snapshot && checks.damaged(filesOfSnapshot(snapshot, paths));
  if (!known) return;
  throw new VivError(
    'corrupt',
    `cannot resume ${name}: its suspended state is damaged (the file ${known.file} ${known.damage}). Restore the file from a copy and run viv snapshot verify ${name}, or discard the state with viv stop ${name}`,
    { details: known },
  );
}
