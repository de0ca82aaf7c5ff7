// What the monitor could have seen.
import type { HostCounters } from '../../src/resource/measure/host-meter.ts';
import type { VmLook } from '../../src/resource/measure/monitor.ts';
import type { VmCounters } from '../../src/resource/measure/vm-meter.ts';

const MiB = 2 ** 20;

export const hostCounters: HostCounters = {
  at: 0,
  cpus: 2,
  cpu: { busySeconds: 100, ioWaitSeconds: 5, stealSeconds: 1 },
  memory: {
    totalBytes: 8192 * MiB,
    availableBytes: 4096 * MiB,
    freeBytes: 1024 * MiB,
    cacheBytes: 2048 * MiB,
    swapTotalBytes: 0,
    swapFreeBytes: 0,
  },
  load: 0.5,
  pressure: { cpu: { someSeconds: 9, fullSeconds: 0 }, memory: { someSeconds: 1, fullSeconds: 0.5 }, io: null },
  storage: { totalBytes: 100 * MiB, freeBytes: 40 * MiB },
  runningVms: 1,
};

export const vmCounters: VmCounters = {
  at: 0,
  process: { vcpuSeconds: 10.5, stealSeconds: 0.25, emulatorSeconds: 1.5, residentBytes: 300 * MiB },
  shared: { proportionalBytes: 120 * MiB, swapBytes: 0 },
  guest: { totalBytes: 512 * MiB, freeBytes: 100 * MiB, cacheBytes: 300 * MiB, availableBytes: 380 * MiB, balloonBytes: 512 * MiB },
  guestPressure: { memory: 12.5, io: 0 },
  disks: [
    {
      ...{ disk: 'root', readBytes: 4096, writeBytes: 8192, reads: 1, writes: 2, readSeconds: 0.001, writeSeconds: 0.002 },
      ...{ flushes: 1, flushSeconds: 0.01 },
    },
  ],
  nics: [{ nic: 'net0', received: { bytes: 1000, packets: 10, dropped: 0 }, sent: { bytes: 2000, packets: 20, dropped: 1 } }],
};

export const stoppedLook = (name: string): VmLook => ({
  vm: { id: `id-${name}`, name, state: 'stopped', cpus: 1, memoryBytes: 512 * MiB, nics: [], running: null },
  values: {},
  counters: null,
  recent: null,
});

export const runningLook = (name: string, counters: Partial<VmCounters> = {}): VmLook => {
  const stopped = stoppedLook(name);
  return { ...stopped, vm: { ...stopped.vm, state: 'running' }, counters: { ...vmCounters, ...counters } };
};
