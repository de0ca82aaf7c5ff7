// The QMP commands that are used, typed: what goes in, and what comes back parsed.
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import type { QmpConnection } from './qmp.ts';

const Status = z.object({ status: z.string(), running: z.boolean() });

/** `status` is QEMU's RunState: running, paused, prelaunch, inmigrate, postmigrate, io-error, guest-panicked, shutdown ... */
export const queryStatus = async (qmp: QmpConnection) => Status.parse(await qmp.execute('query-status'));
export const cont = (qmp: QmpConnection) => qmp.execute('cont');
export const stop = (qmp: QmpConnection) => qmp.execute('stop');
/** Presses the power button. */
export const systemPowerdown = (qmp: QmpConnection) => qmp.execute('system_powerdown');
/** Ends QEMU in order, its disks written. */
export const quit = (qmp: QmpConnection) => qmp.execute('quit');
export const systemReset = (qmp: QmpConnection) => qmp.execute('system_reset');

const Blocks = z.array(z.object({ qdev: z.string().optional(), 'io-status': z.enum(['ok', 'failed', 'nospace']).optional() }));

/**
 * Why a disk has stopped the guest; null: none has. Asked instead of taken from BLOCK_IO_ERROR, which QEMU sends once a second
 * at most, so that it may be missing before a STOP or come after the guest has gone on.
 */
export async function diskProblem(qmp: QmpConnection): Promise<{ full: boolean; device: string } | null> {
  if ((await queryStatus(qmp)).status !== 'io-error') return null;
  const blocks = Blocks.parse(await qmp.execute('query-block'));
  const failed = blocks.find((block) => block['io-status'] === 'failed');
  return { full: failed === undefined, device: failed?.qdev ?? '' };
}

/** Grows a disk under the guest; `disk` is its id in QemuConfig. */
export const blockResize = (qmp: QmpConnection, disk: string, sizeBytes: number) =>
  qmp.execute('block_resize', { 'node-name': disk, size: sizeBytes });

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

/** Writes memory and devices into `file`, which QEMU's user must be able to write. CPUs must be stopped; they stay so. */
export async function saveState(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await prepareState(qmp);
  await qmp.execute('migrate', { channels: channelTo(file) });
  await untilMigrated(qmp, `saving the machine's memory to ${file}`, options);
}

/** Loads what saveState has written into a QEMU started with `incoming`. CPUs stay stopped. */
export async function loadState(qmp: QmpConnection, file: string, options: StateOptions): Promise<void> {
  await prepareState(qmp);
  await qmp.execute('migrate-incoming', { channels: channelTo(file) });
  await untilMigrated(qmp, `loading the machine's memory from ${file}`, options);
}

const channelTo = (file: string) => [{ 'channel-type': 'main', addr: { transport: 'file', filename: file, offset: 0 } }];

/** mapped-ram gives each page a fixed place, so the file is no larger than the memory and zero pages are holes (QEMU 9.0). */
async function prepareState(qmp: QmpConnection): Promise<void> {
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'mapped-ram', state: true },
      { capability: 'multifd', state: true },
    ],
  });
  await qmp.execute('migrate-set-parameters', { 'multifd-channels': 2, 'max-bandwidth': 0 });
}

const cancelDeadlineMs = 10_000;

/** Gives up a save that is under way, perhaps begun by a daemon that has died; resolves when QEMU has let go of the file. */
export async function stopSaving(qmp: QmpConnection): Promise<void> {
  const deadline = Date.now() + cancelDeadlineMs;
  const over = new Set([undefined, 'none', 'completed', 'failed', 'cancelled']);
  for (let first = true; ; first = false) {
    const { status } = Migration.parse(await qmp.execute('query-migrate'));
    if (over.has(status)) return;
    if (first) await qmp.execute('migrate_cancel');
    if (Date.now() > deadline) throw new VivError('timeout', `QEMU does not give up saving within ${cancelDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function untilMigrated(qmp: QmpConnection, doing: string, { signal, onProgress }: StateOptions): Promise<void> {
  const deadline = Date.now() + stateDeadlineMs;
  for (;;) {
    const now = Migration.parse(await qmp.execute('query-migrate'));
    if (now.ram) onProgress?.(now.ram.transferred, now.ram.total);
    if (now.status === 'completed') return;
    if (now.status === 'failed' || now.status === 'cancelled')
      throw new VivError('qemu_failed', `${doing} failed: ${now['error-desc'] ?? now.status}`);
    if (signal.aborted || Date.now() > deadline) {
      await stopSaving(qmp).catch(() => {});
      signal.throwIfAborted();
      throw new VivError('timeout', `${doing} took longer than ${stateDeadlineMs / 60_000} minutes`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
