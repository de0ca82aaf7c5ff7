// Saving a VM's state into a file and loading it: memory and devices, or the devices alone.
import { dirname } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { diskRoom } from '../host/file/disk-space.ts';
import { queryStatus } from './command.ts';
import type { QmpConnection } from './qmp.ts';

const Migration = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  ram: z.object({ transferred: z.number(), total: z.number() }).optional(),
});

/** Saving and loading are given as much time as a slow disk needs for a large guest. */
const stateDeadlineMs = 3_600_000;

export interface StateOptions {
  signal: AbortSignal;
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Writes the devices alone into `file`, for a memory of layers (memory.ts). CPUs must be stopped; they stay so. Call prepareDevices
 * before they are stopped: the guest need not be paused for it.
 */
export async function saveDevices(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await qmp.execute('migrate', { channels: channelTo(file) });
  await untilMigrated(qmp, `saving the VM's devices to ${file}`, options, file);
}

/** Loads what saveDevices has written into a QEMU started with `incoming` and the layers of that memory. CPUs stay stopped. */
export async function loadDevices(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await prepareDevices(qmp);
  await qmp.execute('migrate-incoming', { channels: channelTo(file) });
  await untilMigrated(qmp, `loading the VM's devices from ${file}`, options);
}

/** x-ignore-shared leaves memory out that QEMU believes to share with others (QEMU's docs/devel/migration). */
export const prepareDevices = (qmp: QmpConnection) =>
  setCapabilities(qmp, { 'x-ignore-shared': true, 'mapped-ram': false, multifd: false });

const setCapabilities = (qmp: QmpConnection, desired: Record<string, boolean>) =>
  qmp.execute('migrate-set-capabilities', {
    capabilities: Object.entries({ ...desired, events: true }).map(([capability, state]) => ({ capability, state })),
  });

/** Writes memory and devices into `file`, which QEMU's user must be able to write. CPUs must be stopped; they stay so. */
export async function saveState(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await prepareState(qmp);
  await qmp.execute('migrate', { channels: channelTo(file) });
  await untilMigrated(qmp, `saving the VM's memory to ${file}`, options, file);
}

/** Loads what saveState has written into a QEMU started with `incoming`. CPUs stay stopped. */
export async function loadState(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await prepareState(qmp);
  await qmp.execute('migrate-incoming', { channels: channelTo(file) });
  await untilMigrated(qmp, `loading the VM's memory from ${file}`, options);
}

const channelTo = (file: string) => [{ 'channel-type': 'main', addr: { transport: 'file', filename: file, offset: 0 } }];

/** mapped-ram gives each page a fixed place, so the file is no larger than the memory and zero pages are holes (QEMU 9.0). */
async function prepareState(qmp: QmpConnection): Promise<void> {
  await setCapabilities(qmp, { 'x-ignore-shared': false, 'mapped-ram': true, multifd: true });
  await qmp.execute('migrate-set-parameters', { 'multifd-channels': 2, 'max-bandwidth': 0 });
}

const cancelDeadlineMs = 10_000;

/** Cancels a save in progress, perhaps begun by a daemon that has died; resolves when QEMU has closed the file and the guest could continue. */
export async function stopSaving(qmp: QmpConnection): Promise<void> {
  const deadline = Date.now() + cancelDeadlineMs;
  const over = new Set([undefined, 'none', 'completed', 'failed', 'cancelled']);
  for (let first = true; ; first = false) {
    const { status } = Migration.parse(await qmp.execute('query-migrate'));
    if (over.has(status)) return untilSettled(qmp, 'cancelling a save');
    if (first) await qmp.execute('migrate_cancel');
    if (Date.now() > deadline) throw new VivError('timeout', `QEMU did not cancel the save within ${cancelDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** @param writes the file that it writes */
async function untilMigrated(qmp: QmpConnection, doing: string, { signal, onProgress }: StateOptions, writes?: string): Promise<void> {
  const deadline = Date.now() + stateDeadlineMs;
  let changed = Promise.withResolvers<void>();
  const stopListening = qmp.on('MIGRATION', () => changed.resolve());
  try {
    // Events make each query the last or nearly so; the pauses are for the progress, and for events before this listened.
    for (let pauseMs = 2; ; pauseMs = Math.min(20, pauseMs * 2)) {
      changed = Promise.withResolvers<void>();
      const now = Migration.parse(await qmp.execute('query-migrate'));
      if (now.ram) onProgress?.(now.ram.transferred, now.ram.total);
      if (now.status === 'completed') return await untilSettled(qmp, doing);
      if (now.status === 'failed' || now.status === 'cancelled') throw failed(doing, now['error-desc'] ?? now.status, writes);
      if (signal.aborted || Date.now() > deadline) {
        await stopSaving(qmp).catch(() => {});
        signal.throwIfAborted();
        throw new VivError('timeout', `${doing} took longer than ${stateDeadlineMs / 60_000} minutes`);
      }
      await orLater(changed.promise, pauseMs);
    }
  } finally {
    stopListening();
  }
}

/** A state of devices takes some hundred KiB. */
const littleBytes = 8 * 2 ** 20;

/** Translates QEMU's error: a full disk is reported in two ways. */
function failed(doing: string, words: string, writes?: string): VivError {
  const full = () => writes !== undefined && diskRoom(dirname(writes), undefined)().freeBytes < littleBytes;
  if (/No space left on device/.test(words) || (/Input\/output error/.test(words) && full()))
    return new VivError('no_space', `${doing} failed, because the host’s disk is full (${words}); make room and try again`);
  const hint = /tpm-emulator/.test(words) ? ' (its TPM does not answer; a restart of the VM gives it back)' : '';
  return new VivError('qemu_failed', `${doing} failed: ${words}${hint}`);
}

const settleDeadlineMs = 10_000;

/** QEMU says that it has completed before it has, and refuses to continue the guest until then. */
async function untilSettled(qmp: QmpConnection, doing: string): Promise<void> {
  const deadline = Date.now() + settleDeadlineMs;
  while ((await queryStatus(qmp)).status === 'finish-migrate') {
    if (Date.now() > deadline) throw new VivError('timeout', `${doing} was completed and did not end within ${settleDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function orLater(event: Promise<void>, pauseMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, pauseMs);
  });
  await Promise.race([event, pause]);
  clearTimeout(timer);
}
