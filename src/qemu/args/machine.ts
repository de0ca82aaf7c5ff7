// The machine type, CPUs and memory.
import type { QemuConfig } from '../config.ts';
import { memoryPath } from '../memory.ts';
import { cpuArguments } from './cpu.ts';
import { escaped, json } from './json.ts';

/** The machine type of each architecture; q35 is the PC with PCI Express. */
const machineTypes: Record<QemuConfig['arch'], string> = {
  x86_64: 'pc-q35',
  i386: 'pc-q35',
  aarch64: 'virt',
  riscv64: 'virt',
  ppc64le: 'pseries',
  s390x: 's390-ccw-virtio',
};

/**
 * The machine type as the QEMU of this version has it. A newer QEMU still knows it by this name, so that a state saved by an older one
 * can be loaded (QEMU's docs/about/deprecated: machine types are kept for six years).
 */
export const machineTypeOf = (arch: QemuConfig['arch'], [major, minor]: readonly [number, number, ...unknown[]]): string =>
  `${machineTypes[arch]}-${major}.${minor}`;

/** QEMU's `-m` counts in MiB. */
export const memoryBytesOf = (bytes: number): number => Math.ceil(bytes / 2 ** 20) * 2 ** 20;

export function machineArguments(config: QemuConfig): string[] {
  const pc = config.arch === 'x86_64' || config.arch === 'i386';
  return [
    // `process` first: there no name can look like another VM's marker (process.ts reads it).
    ...['-name', `process=${escaped(config.id)},guest=${escaped(config.name)},debug-threads=on`],
    ...['-uuid', config.uuid],
    // No HPET: Linux would calibrate against it, which is slow under emulation. No i8042 quirks to keep: Windows wants the keyboard controller.
    ...['-machine', `${config.machineType}${pc ? ',hpet=off,vmport=off' : ''},memory-backend=ram`],
    ...['-accel', config.accel === 'tcg' ? 'tcg,thread=multi' : 'kvm'],
    ...cpuArguments(config),
    ...['-m', `${memoryBytesOf(config.memoryBytes) / 2 ** 20}M`],
    ...json('-object', {
      ...(config.memory === 'layers'
        ? { 'qom-type': 'memory-backend-file', 'mem-path': memoryPath }
        : { 'qom-type': 'memory-backend-memfd', ...(config.hugepages ? { hugetlb: true } : {}) }),
      id: 'ram',
      size: memoryBytesOf(config.memoryBytes),
      share: true,
      // QEMU's default is on: pages would be merged with those of other owners, and timing would reveal their content.
      merge: config.ksm,
    }),
    ...['-rtc', 'base=utc,driftfix=slew'],
    // It stays when its guest has shut down or panicked, so that a daemon that was away can ask how the guest ended.
    ...['-action', 'shutdown=pause'],
    // Without it firmware tries the devices that are not in the order as well, after those that are.
    ...(config.kernel ? [] : ['-boot', 'strict=on']),
    ...(config.kernel ? ['-kernel', config.kernel.file, '-initrd', config.kernel.initrd, '-append', config.kernel.commandLine] : []),
    ...(config.incoming ? ['-incoming', 'defer'] : []),
  ];
}
