// The series that are measured: one table for VMs and one for the host. History, alerts, `viv top` and the figures of `viv stats` use
// these names. A series whose value is not known is absent; it is never 0. Names only grow at the end: history files refer to columns.

interface Series {
  readonly unit: 'cores' | 'percent' | 'bytes' | 'bytesPerSecond' | 'perSecond' | 'ms' | 'count';
  readonly help: string;
}

export const vmSeries = {
  cpuCores: { unit: 'cores', help: 'CPU time of the vCPUs: 1 is one CPU, fully used' },
  cpuPercent: { unit: 'percent', help: 'CPU time of the vCPUs, of all vCPUs that the VM has' },
  emulatorCores: { unit: 'cores', help: 'CPU time of other threads of QEMU' },
  stealCores: { unit: 'cores', help: 'Time for which vCPUs were ready to run and had no CPU' },
  residentBytes: { unit: 'bytes', help: 'Memory of the host that QEMU has mapped, shared pages included' },
  proportionalBytes: { unit: 'bytes', help: 'Memory of the host, each shared page divided among those who share it (PSS)' },
  swapBytes: { unit: 'bytes', help: 'Memory of QEMU that the host has swapped out' },
  guestUsedBytes: { unit: 'bytes', help: 'Memory in use inside the guest, page cache not included' },
  guestCacheBytes: { unit: 'bytes', help: 'Page cache of the guest' },
  guestAvailableBytes: { unit: 'bytes', help: 'Memory that programs in the guest can still be given without swapping' },
  guestUsedPercent: { unit: 'percent', help: 'Memory in use inside the guest, page cache not included, of what the guest has' },
  balloonBytes: { unit: 'bytes', help: 'Memory that the balloon leaves to the guest' },
  diskReadBytesPerSecond: { unit: 'bytesPerSecond', help: 'Bytes read from disks' },
  diskWriteBytesPerSecond: { unit: 'bytesPerSecond', help: 'Bytes written to disks' },
  diskReadsPerSecond: { unit: 'perSecond', help: 'Read requests to disks' },
  diskWritesPerSecond: { unit: 'perSecond', help: 'Write requests to disks' },
  diskLatencyMs: { unit: 'ms', help: 'Mean time that a disk request took' },
  networkReceiveBytesPerSecond: { unit: 'bytesPerSecond', help: 'Bytes that the guest received' },
  networkSendBytesPerSecond: { unit: 'bytesPerSecond', help: 'Bytes that the guest sent' },
  networkDropsPerSecond: { unit: 'perSecond', help: 'Packets dropped between the guest and its network' },
} as const satisfies Record<string, Series>;

export const hostSeries = {
  cpuCores: { unit: 'cores', help: 'CPU time of everything on the host' },
  cpuPercent: { unit: 'percent', help: 'CPU time of everything on the host, of all its CPUs' },
  ioWaitCores: { unit: 'cores', help: 'Time for which a CPU had nothing to do but wait for a disk' },
  stealCores: { unit: 'cores', help: 'Time that a hypervisor below this host gave to others' },
  load: { unit: 'count', help: 'Load average over one minute' },
  memoryUsedBytes: { unit: 'bytes', help: 'Memory that programs and the kernel hold, page cache not included' },
  memoryCacheBytes: { unit: 'bytes', help: 'Page cache' },
  memoryAvailableBytes: { unit: 'bytes', help: 'Memory that programs can still be given without swapping' },
  memoryUsedPercent: { unit: 'percent', help: 'Memory that cannot be given to programs, of all memory' },
  swapUsedBytes: { unit: 'bytes', help: 'Swap space in use' },
  cpuPressurePercent: { unit: 'percent', help: 'Share of time in which some task waited for a CPU' },
  memoryPressurePercent: { unit: 'percent', help: 'Share of time in which some task waited for memory' },
  memoryStallPercent: { unit: 'percent', help: 'Share of time in which every task waited for memory' },
  ioPressurePercent: { unit: 'percent', help: 'Share of time in which some task waited for a disk' },
  storageFreeBytes: { unit: 'bytes', help: 'Free space of the file system that holds the state directory' },
  storageUsedPercent: { unit: 'percent', help: 'Used space of the file system that holds the state directory' },
  runningVms: { unit: 'count', help: 'VMs that run' },
} as const satisfies Record<string, Series>;

export type VmSeries = keyof typeof vmSeries;
export type HostSeries = keyof typeof hostSeries;
export type Unit = Series['unit'];

/** What is known at one moment, by series. */
export type Values<Name extends string = string> = { readonly [N in Name]?: number };
