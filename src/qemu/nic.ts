// NICs of a running VM: hot-plug, unplug, and link state.
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { runProgram } from '../host/process/run.ts';
import { nicDevice } from './args/nic.ts';
import type { NicConfig } from './config.ts';
import { type QmpConnection, QmpError } from './qmp.ts';

const giveDeadlineMs = 20_000;
/** The guest takes part in an unplug: one without a driver for it, or that does not boot, never answers. */
const pullDeadlineMs = 20_000;

export interface Giving {
  /** Prefix of a command that runs in the tap's namespace. */
  readonly enter: readonly string[];
  /** vivarium-net-tap. */
  readonly program: string;
  readonly tap: string;
  /** QEMU's monitor for this. */
  readonly socket: string;
}

const Children = z.array(z.object({ name: z.string() }));

/** Whether QEMU has it now; one that the guest is asked to release is there until it has. */
export async function hasNic(qmp: QmpConnection, id: string): Promise<boolean> {
  const devices = Children.parse(await qmp.execute('qom-list', { path: '/machine/peripheral' }));
  return devices.some(({ name }) => name === `${id}-dev`);
}

/** @throws qemu_failed with QEMU's message */
export async function plugNic(
  nic: Pick<NicConfig, 'id' | 'mac' | 'slot' | 'announces' | 'queueReset'>,
  { enter, program, tap, socket }: Giving,
  signal: AbortSignal,
): Promise<void> {
  const commands = [
    { execute: 'netdev_add', arguments: { type: 'tap', id: nic.id, fd: tap } },
    { execute: 'device_add', arguments: nicDevice({ ...nic, bootIndex: null }) },
  ];
  const [first = program, ...rest] = [...enter, program, 'give', socket, tap, ...commands.map((command) => JSON.stringify(command))];
  const { exitCode, stdout, stderr } = await runProgram(first, rest, { timeoutMs: giveDeadlineMs, signal });
  if (exitCode === 0) return;
  const words = /"desc": ?"((?:[^"\\]|\\.)*)"/.exec(stdout)?.[1] ?? stderr.trim();
  throw new VivError('qemu_failed', `QEMU did not take the NIC ${nic.id}: ${words}`);
}

/** Repeatable. @throws timeout where the guest does not release it */
export async function pullNic(qmp: QmpConnection, id: string, signal: AbortSignal): Promise<void> {
  const device = `${id}-dev`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = qmp.on('DEVICE_DELETED', (data) => data['device'] === device && resolve());
  const timer = setTimeout(
    () =>
      reject(
        new VivError(
          'timeout',
          `the guest did not release the NIC ${id} within ${pullDeadlineMs / 1000} s; has it booted? Stop the VM to remove the NIC`,
        ),
      ),
    pullDeadlineMs,
  );
  const cancel = () => reject(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await qmp.execute('device_del', { id: device });
    await promise;
  } catch (error) {
    if (!(error instanceof QmpError && error.class === 'DeviceNotFound')) throw error;
  } finally {
    stop();
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
    promise.catch(() => {});
  }
  await removeNetdev(qmp, id);
}

/** Repeatable. */
export async function removeNetdev(qmp: QmpConnection, id: string): Promise<void> {
  await qmp.execute('netdev_del', { id }).catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error; // the device is gone
  });
}

/** The link's state as the guest sees it. */
export const setNicLink = (qmp: QmpConnection, id: string, up: boolean) => qmp.execute('set_link', { name: id, up });
