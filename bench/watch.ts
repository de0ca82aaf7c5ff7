// (w) What it takes to watch 200 VMs. The VMs are real QEMU processes that are paused: a guest's own work would hide what
// the monitor takes of a core.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { systemClock } from '../src/host/clock.ts';
import { diskRoom } from '../src/host/file/disk-space.ts';
import { outgoingPolicy } from '../src/host/outgoing.ts';
import { findQemu } from '../src/qemu/binary.ts';
import { diskCounters } from '../src/qemu/disk-counters.ts';
import { connectQmp } from '../src/qemu/qmp.ts';
import { Alerts } from '../src/resource/alert/alerts.ts';
import { Histories } from '../src/resource/history/histories.ts';
import { Monitor } from '../src/resource/measure/monitor.ts';
import type { MeasuredVm } from '../src/resource/measure/vm.ts';
import type { Figure } from './measure.ts';

const vms = 200;
const watchedMs = 40_000;
/** Connections, first answers and first samples are there. */
const settleMs = 25_000;
const rules = [
  'cpuPercent > 90 for 5m',
  'guestUsedPercent > 95 for 1m',
  'diskLatencyMs > 100 for 1m',
  'host.storageFreeBytes < 1GiB',
  'event vm.ended',
];

export async function watch(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-watch-'));
  try {
    return await watching(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function watching(folder: string): Promise<Figure[]> {
  const { path } = await findQemu('x86_64');
  const started: MeasuredVm[] = [];
  const ends: (() => void)[] = [];
  try {
    for (let index = 0; index < vms; index++) {
      const { vm, end } = await startPaused(path, folder, `vm${index}`);
      started.push(vm);
      ends.push(end);
    }
    const without = await use(async () => {});
    const monitor = new Monitor({
      clock: systemClock,
      vms: () => started,
      networkNamespacePid: () => null,
      storage: diskRoom(folder, undefined),
    });
    const histories = new Histories(join(folder, 'history'), (error) => {
      throw error;
    });
    await histories.open(() => true);
    const store = { list: async () => [], commit: async () => ({}) };
    const log = pino({ enabled: false });
    const alerts = await Alerts.open({ store, clock: systemClock, log, hostname: 'bench', policy: outgoingPolicy([]), record: () => {} });
    for (const [index, rule] of rules.entries())
      await alerts.insert({
        name: `a${index}`,
        rule,
        vms: [],
        to: ['log'],
        severity: 'info',
        repeatMs: 3_600_000,
        silencedUntil: null,
        createdAt: 0,
      });
    monitor.onLook((look) => {
      histories.record(look);
      alerts.onLook(look);
    });
    const watched = await use(async () => monitor.begin());
    const seen = monitor.latest.vms.filter(
      ({ values, counters }) => values.residentBytes !== undefined && counters?.disks.length === 1,
    ).length;
    if (seen !== vms) throw new Error(`only ${seen} of ${vms} VMs were measured`);
    monitor.stop();
    await histories.close();
    await alerts.stop();
    return [
      { name: `watching ${vms} VMs: CPU of one core`, value: watched.cpuPercent - without.cpuPercent, unit: '%', target: 3 },
      { name: `watching ${vms} VMs: memory`, value: watched.residentMiB - without.residentMiB, unit: 'MiB', target: 20 },
    ];
  } finally {
    for (const end of ends) end();
  }
}

/** What this process uses after `begin`, once it has settled. */
async function use(begin: () => Promise<void>): Promise<{ cpuPercent: number; residentMiB: number }> {
  await begin();
  await pause(settleMs);
  const from = process.cpuUsage();
  await pause(watchedMs);
  const { user, system } = process.cpuUsage(from);
  globalThis.gc?.();
  return { cpuPercent: (user + system) / 10 / watchedMs, residentMiB: process.memoryUsage.rss() / 2 ** 20 };
}

async function startPaused(path: string, folder: string, name: string): Promise<{ vm: MeasuredVm; end: () => void }> {
  const socket = join(folder, `${name}.sock`);
  const disk = { driver: 'null-co', 'node-name': 'root', size: 2 ** 20, 'read-zeroes': true };
  const qemu = spawn(
    path,
    [
      ...['-S', '-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'microvm', '-accel', 'tcg', '-m', '64M', '-smp', '1'],
      ...['-name', `${name},debug-threads=on`, '-qmp', `unix:${socket},server=on,wait=off`],
      ...['-blockdev', JSON.stringify(disk), '-device', JSON.stringify({ driver: 'virtio-blk-device', id: 'root-dev', drive: 'root' })],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exited = new Promise((resolve) => qemu.once('exit', resolve));
  const qmp = await connectQmp(socket, { timeoutMs: 60_000, exited });
  return {
    vm: {
      ...{ id: name.padStart(12, '0'), name, state: 'running', cpus: 1, memoryBytes: 64 * 2 ** 20, nics: [] },
      running: {
        pid: qemu.pid ?? 0,
        diskCounters: (signal) => diskCounters(qmp, signal),
        guestMemory: () => null,
        guestPressure: () => null,
      },
    },
    end: () => {
      qmp.close();
      qemu.kill('SIGKILL');
    },
  };
}
