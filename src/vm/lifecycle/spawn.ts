// From a VM's record to a QEMU process: its files, memory, TPM and taps.
import { MiB } from '../../contract/field.ts';
import { qemuArguments } from '../../qemu/args/build.ts';
import { findQemu } from '../../qemu/binary.ts';
import { findFirmware } from '../../qemu/firmware-files.ts';
import { firstFreeFd } from '../../qemu/memory.ts';
import { type QemuProcess, startQemu } from '../../qemu/process.ts';
import { endTpm, type Tpm } from '../../qemu/tpm.ts';
import type { SnapshotRecord } from '../capture/snapshot-record.ts';
import { confinementOf } from '../confine.ts';
import { isVirtual } from '../device/nics.ts';
import { rotate } from '../device/serial-log.ts';
import { withTaps } from '../device/tap-descriptors.ts';
import { openTpm, watchTpm } from '../device/tpm.ts';
import { makeFirmwareVars, makeRunFiles } from '../files.ts';
import { type OpenMemory, openMemory } from '../memory.ts';
import { placeProcess } from '../resource/apply.ts';
import { checkMerging } from '../resource/merging.ts';
import type { Uses } from '../services.ts';
import { bootMemoryBytes, qemuConfig, startMachineType, startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';

/** Starts QEMU. @param incoming it waits for a saved state before its guest runs */
export async function spawn(
  vm: Vm,
  services: Uses<'vms' | 'snapshots' | 'networks' | 'processes' | 'paths' | 'resources'>,
  accel: 'kvm' | 'tcg',
  incoming: boolean,
  signal: AbortSignal,
): Promise<QemuProcess> {
  const { record, paths } = vm;
  await makeRunFiles(record, services);
  await makeFirmwareVars(record, services);
  await rotate(paths.serialLog);
  await rotate(paths.qemuLog, MiB);
  const firmware = startSettings(record).firmware === 'uefi' ? await findFirmware(record.arch) : null;
  const binary = await findQemu(record.arch);
  const network = await services.networks.prepareTaps(vm.record);
  let memory: OpenMemory | null = null;
  let tpm: Tpm | null = null;
  try {
    const { hugepages, ksm } = startSettings(record).resources;
    // Two that start together have both passed the check before, and are both refused.
    checkMerging(vm, services);
    const bytes = bootMemoryBytes(startSettings(record));
    memory = await openMemory({ bytes, hugepages, ksm }, paths.memory, resumesFrom(vm, services), services.paths);
    tpm = await openTpm(record, paths);
    // QEMU inherits descriptors in this order: memory, TPM, taps.
    const tpmFd = tpm && firstFreeFd(memory.layers);
    const through = network === null ? null : withTaps(record, network, tpmFd === null ? firstFreeFd(memory.layers) : tpmFd + 1);
    const config = qemuConfig(record, paths, {
      marker: services.processes.marker(vm.id),
      machineType: startMachineType(record, binary.version),
      accel,
      firmwareCode: firmware?.code ?? null,
      memory: memory.layers === null ? 'plain' : 'layers',
      tpmFd,
      incoming,
      ...(through === null ? {} : { taps: through.taps }),
    });
    const started = await startQemu({
      binary: binary.path,
      args: qemuArguments(config),
      marker: config.id,
      confinement: await confinementOf(record, services, {
        firmwareCode: firmware?.code ?? null,
        resumesFrom: resumesFrom(vm, services),
        kvm: accel === 'kvm',
        ownNetwork: through === null && record.nics.every(isVirtual),
      }),
      processFile: paths.process,
      logFile: paths.qemuLog,
      memory: memory.layers,
      tpm: tpm?.fd ?? null,
      through: through?.words ?? [],
      signal,
    });
    placeProcess(vm.id, started, services);
    if (network !== null) services.networks.attached(vm.id, started);
    if (tpm) void watchTpm(vm, started, tpm.exited);
    return started;
  } catch (error) {
    if (network !== null) services.networks.released(vm.id, null);
    if (tpm) await endTpm(paths.tpm);
    throw error;
  } finally {
    memory?.close();
    tpm?.close();
  }
}

/** The snapshot whose memory it resumes from; null: its own state file, or none. */
export function resumesFrom({ record }: Vm, { snapshots }: Uses<'snapshots'>): SnapshotRecord | null {
  return record.state === 'suspended' && record.resumeFrom !== null ? snapshots.get(record.resumeFrom) : null;
}
