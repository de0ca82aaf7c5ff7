// Whether this host can have what a VM's resource settings ask for. @throws with one sentence; nothing has changed then.

import { sizeText } from '../../contract/bound.ts';
import { VivError } from '../../contract/errors.ts';
import { checkResources } from '../../contract/resource.ts';
import { isEmulable } from '../../qemu/args/cpu.ts';
import type { VmRecord } from '../record.ts';

/** @param hostCpus numbers of the host's CPUs. @throws invalid */
export function checkSettings(
  { name, arch, image, settings, disks }: Pick<VmRecord, 'name' | 'arch' | 'image' | 'settings' | 'disks'>,
  hostCpus: readonly number[],
): void {
  const { cpus, memoryBytes, resources } = settings;
  if (image.minMemoryBytes !== null && memoryBytes < image.minMemoryBytes)
    throw new VivError(
      'invalid',
      `${name}: ${image.name} does not boot with ${sizeText(memoryBytes)} of memory. Give it at least ${sizeText(image.minMemoryBytes)}`,
    );
  const own = disks.filter(({ kind }) => kind === 'root' || kind === 'data').map(({ id }) => id);
  checkResources(name, resources, { cpus, memoryBytes, hostCpus, disks: own });
  const pc = arch === 'x86_64' || arch === 'i386';
  if (resources.maxCpus > 0 && !pc)
    throw new VivError('invalid', `${name}: QEMU cannot plug vCPUs into a running ${arch} VM; leave --max-cpus out`);
  if (resources.cpuModel.startsWith('x86-64-') && arch !== 'x86_64')
    throw new VivError('invalid', `${name}: ${resources.cpuModel} is not a CPU model of ${arch}`);
}

/** @throws unsupported */
export function checkAccelerator({ name, settings: { resources } }: Pick<VmRecord, 'name' | 'settings'>, accel: 'kvm' | 'tcg'): void {
  if (accel === 'tcg' && !isEmulable(resources.cpuModel))
    throw new VivError(
      'unsupported',
      `cannot start ${name}: emulation has no AVX-512, which ${resources.cpuModel} needs. Use x86-64-v3 or a host with KVM`,
    );
}
