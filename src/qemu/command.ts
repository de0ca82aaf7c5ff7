// The QMP commands that are used, typed: what goes in, and what comes back parsed.
import { z } from 'zod';
import type { ExecuteOptions, QmpConnection } from './qmp.ts';

const screenDeadlineMs = 5000;

const Status = z.object({ status: z.string(), running: z.boolean() });

/** `status` is QEMU's RunState: running, paused, prelaunch, inmigrate, postmigrate, io-error, guest-panicked, shutdown ... */
export const queryStatus = async (qmp: QmpConnection, options: ExecuteOptions = {}) =>
  Status.parse(await qmp.execute('query-status', {}, options));
export const cont = (qmp: QmpConnection) => qmp.execute('cont');
export const stop = (qmp: QmpConnection) => qmp.execute('stop');
/**
 * From `postmigrate`, in which a save leaves it, to `paused`: in the former QEMU neither saves again nor closes or changes a disk.
 * Both are sent at once, so that the guest gets on by no more than a moment, or not at all.
 */
export async function pausedAgain(qmp: QmpConnection): Promise<void> {
  await Promise.all([cont(qmp), stop(qmp)]);
}
/** Presses the power button. */
export const systemPowerdown = (qmp: QmpConnection) => qmp.execute('system_powerdown');
/** Ends QEMU in order, its disks written. */
export const quit = (qmp: QmpConnection) => qmp.execute('quit');
/** Writes the screen into `file`, which QEMU's user must be able to write, as a PPM. */
export const screendump = (qmp: QmpConnection, file: string, signal: AbortSignal) =>
  qmp.execute('screendump', { filename: file, format: 'ppm' }, { timeoutMs: screenDeadlineMs, signal });
/** From now on a guest that resets itself ends instead, as it does when it shuts down. */
export const shutDownAtReset = (qmp: QmpConnection) => qmp.execute('set-action', { reboot: 'shutdown' });
export const systemReset = (qmp: QmpConnection) => qmp.execute('system_reset');

const Blocks = z.array(z.object({ qdev: z.string().optional(), 'io-status': z.enum(['ok', 'failed', 'nospace']).optional() }));

/**
 * Why a disk has stopped the guest; null: none has. Asked instead of taken from BLOCK_IO_ERROR, which QEMU sends once a second
 * at most, so that it may be missing before a STOP or come after the guest has resumed.
 */
export async function diskProblem(qmp: QmpConnection): Promise<{ full: boolean; device: string } | null> {
  if ((await queryStatus(qmp)).status !== 'io-error') return null;
  const blocks = Blocks.parse(await qmp.execute('query-block'));
  const failed = blocks.find((block) => block['io-status'] === 'failed');
  return { full: failed === undefined, device: failed?.qdev ?? '' };
}
