// The monitor over a process that behaves as QEMU does to /proc: named threads, time on a CPU, memory. And what comes out of counters. Pure parts as tables.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Clock } from '../../src/host/clock.ts';
import { diskRates } from '../../src/resource/measure/disk-meter.ts';
import { hostValuesOf } from '../../src/resource/measure/host-meter.ts';
import { Monitor } from '../../src/resource/measure/monitor.ts';
import { RecentValues } from '../../src/resource/measure/recent-values.ts';
import { mostOverdue } from '../../src/resource/measure/shared-memory.ts';
import type { MeasuredVm } from '../../src/resource/measure/vm.ts';
import { usedByGuest, valuesOf } from '../../src/resource/measure/vm-meter.ts';
import { hostCounters, vmCounters } from './looks.ts';

const still: Clock = { now: Date.now, after: () => () => {} };

const options = (vms: readonly MeasuredVm[]) => ({
  clock: still,
  vms: () => vms,
  networkNamespacePid: () => process.pid,
  storage: () => ({ totalBytes: 100, freeBytes: 25 }),
});

function vmOf(pid: number | null, more: Partial<MeasuredVm> = {}): MeasuredVm {
  const running =
    pid === null
      ? null
      : { pid, diskCounters: () => Promise.reject(new Error('no QMP')), guestMemory: () => null, guestPressure: () => null };
  return {
    id: 'vm1',
    name: 'web',
    state: pid === null ? 'stopped' : 'running',
    cpus: 1,
    memoryBytes: 2 ** 28,
    nics: [{ id: 'net0', tap: 'lo' }],
    running,
    ...more,
  };
}

/** A process one of whose threads is called as a vCPU's, and uses a CPU until it is killed. */
async function busyVcpu(): Promise<{ pid: number; end(): Promise<void> } & Disposable> {
  // The name of a process's first thread is its own to choose (prctl), and schedstat counts it like any other.
  const child = spawn('/bin/sh', ['-c', 'printf "CPU 0/TCG" >/proc/self/comm; echo; while :; do :; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const end = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { pid: child.pid ?? 0, end, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

/** CPU time that passes for another process, without a clock that sleeps: this one computes meanwhile. */
function burn(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

test('the time of vCPU threads is measured, and what cannot be measured is absent', async () => {
  using qemu = await busyVcpu();
  const monitor = new Monitor(options([vmOf(qemu.pid)]));
  try {
    const first = monitor.look().vms[0];
    assert.equal(first?.values.cpuCores, undefined, 'a rate needs two looks');
    // On a busy host it may be a while until it gets a CPU.
    let seen = first;
    for (let tries = 0; tries < 200 && (seen?.values.cpuCores ?? 0) === 0; tries++) {
      burn(50);
      seen = monitor.look().vms[0];
    }
    const { values, counters } = seen ?? assert.fail();
    assert.ok((values.cpuCores ?? 0) > 0 && (values.cpuCores ?? 9) < 1.2, `${values.cpuCores}`);
    assert.ok((values.residentBytes ?? 0) > 0);
    assert.ok((counters?.process.vcpuSeconds ?? 0) > 0);
    for (const name of [
      'guestUsedBytes',
      'guestCacheBytes',
      'balloonBytes',
      'proportionalBytes',
      'diskReadsPerSecond',
      'diskLatencyMs',
    ] as const)
      assert.ok(!(name in values), name);
    assert.equal(typeof values.networkReceiveBytesPerSecond, 'number', 'lo is there in every namespace');
  } finally {
    monitor.stop();
  }
});

test('a VM that ended, was stopped or was removed has no values', async () => {
  let vms: MeasuredVm[];
  const monitor = new Monitor({ ...options([]), vms: () => vms });
  try {
    using qemu = await busyVcpu();
    vms = [vmOf(qemu.pid)];
    monitor.look();
    await qemu.end();
    assert.deepEqual(monitor.look().vms[0]?.values, {});
    assert.equal(monitor.latest.vms[0]?.counters, null);
    vms = [vmOf(null)];
    assert.deepEqual(monitor.look().vms[0]?.values, {});
    assert.equal(monitor.latest.host.values.runningVms, 0);
    vms = [];
    assert.deepEqual(monitor.look().vms, []);
  } finally {
    monitor.stop();
  }
});

test('rates come from two looks at the same NIC', () => {
  const before = vmCounters;
  const now = {
    ...vmCounters,
    at: 2000,
    process: { ...vmCounters.process, vcpuSeconds: 12.5, stealSeconds: 0.75 },
    nics: [
      { nic: 'net0', received: { bytes: 3000, packets: 10, dropped: 1 }, sent: { bytes: 2400, packets: 20, dropped: 2 } },
      { nic: 'net1', received: { bytes: 9_000_000, packets: 10, dropped: 0 }, sent: { bytes: 9_000_000, packets: 20, dropped: 0 } },
    ],
  };
  const values = valuesOf(before, now, 2);
  assert.equal(values.cpuCores, 1);
  assert.equal(values.cpuPercent, 50);
  assert.equal(values.stealCores, 0.25);
  assert.equal(values.networkSendBytesPerSecond, 1000, 'what the tap received, the guest sent; a NIC that is new does not count');
  assert.equal(values.networkReceiveBytesPerSecond, 200);
  assert.equal(values.networkDropsPerSecond, 1);
  assert.equal(valuesOf(now, { ...before, at: 4000 }, 2).cpuCores, undefined, 'QEMU was started anew');
});

test('the guest’s page cache is not used memory, and a part that is not known makes the sum unknown', () => {
  const guest = { totalBytes: 1000, freeBytes: 200, cacheBytes: 500 };
  assert.equal(usedByGuest(guest), 300);
  assert.equal(usedByGuest({ totalBytes: 1000, freeBytes: 200 }), undefined);
  assert.equal(usedByGuest(null), undefined);
  const values = valuesOf(null, { ...vmCounters, guest }, 1);
  assert.equal(values.guestUsedPercent, 30);
  assert.equal(values.guestAvailableBytes, undefined);
});

test('disk rates are over the time between two answers of QEMU', () => {
  const disk = vmCounters.disks[0] ?? assert.fail();
  const now = { ...disk, reads: 11, readBytes: disk.readBytes + 10_000, readSeconds: disk.readSeconds + 0.05 };
  const rates = diskRates({ at: 0, disks: [disk] }, { at: 10_000, disks: [now] });
  assert.equal(rates.diskReadsPerSecond, 1);
  assert.equal(rates.diskReadBytesPerSecond, 1000);
  assert.ok(Math.abs((rates.diskLatencyMs ?? 0) - 5) < 1e-9);
  assert.equal(diskRates({ at: 0, disks: [disk] }, { at: 10_000, disks: [disk] }).diskLatencyMs, undefined, 'no request, no latency');
  assert.deepEqual(diskRates({ at: 0, disks: [] }, { at: 10_000, disks: [disk] }), {});
  assert.equal(diskRates({ at: 0, disks: [now] }, { at: 10_000, disks: [disk] }).diskReadsPerSecond, undefined, 'QEMU was started anew');
});

test('what the kernel of the host does not count is absent', () => {
  const bare = { ...hostCounters, memory: null, storage: null, load: null, pressure: { cpu: null, memory: null, io: null } };
  const values = hostValuesOf({ ...bare, at: 0 }, { ...bare, at: 1000, cpu: { busySeconds: 101, ioWaitSeconds: 5, stealSeconds: 1 } });
  assert.equal(values.cpuPercent, 50);
  for (const name of ['memoryUsedBytes', 'cpuPressurePercent', 'ioPressurePercent', 'storageFreeBytes', 'load'] as const)
    assert.equal(values[name], undefined, name);
  assert.equal(hostValuesOf(null, hostCounters).storageUsedPercent, 60);
});

test('the process whose shared memory was read longest ago is next, and none too soon', () => {
  const found = new Map([
    [1, { readAt: 50_000 }],
    [2, { readAt: 10_000 }],
    [9, { readAt: 0 }],
  ]);
  assert.equal(mostOverdue([1, 2, 3], found, 60_000), 3);
  assert.equal(mostOverdue([1, 2], found, 60_000), 2);
  assert.equal(mostOverdue([1], found, 60_000), null);
  assert.ok(!found.has(9), 'one that ended is forgotten');
});

test('sparklines have the last minute, oldest first, and gaps where nothing was known', () => {
  const recent = new RecentValues();
  for (let second = 0; second < 61; second++) recent.push(second === 30 ? undefined : second);
  const list = recent.list();
  assert.equal(list.length, 60);
  assert.equal(list[0], 1);
  assert.equal(list[29], null);
  assert.equal(list.at(-1), 60);
});
