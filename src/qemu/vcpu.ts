// The vCPUs of a running VM: their threads, and plugging and unplugging them.
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { cpuDevice, cpuId } from './args/cpu.ts';
import type { QemuConfig } from './config.ts';
import { type QmpConnection, QmpError } from './qmp.ts';

/** A guest takes part in unplugging: one that does not boot, or has no support for it, never answers. */
const unplugDeadlineMs = 20_000;

const Cpus = z.array(z.object({ 'cpu-index': z.number(), 'thread-id': z.number(), 'qom-path': z.string() }));
type Cpu = z.infer<typeof Cpus>[number];

const cpusOf = async (qmp: QmpConnection): Promise<Cpu[]> =>
  Cpus.parse(await qmp.execute('query-cpus-fast')).sort((one, other) => one['cpu-index'] - other['cpu-index']);

/** Thread ids, by number of the vCPU. */
export const vcpuThreads = async (qmp: QmpConnection): Promise<number[]> => (await cpusOf(qmp)).map((cpu) => cpu['thread-id']);

/** Plugs vCPUs in, or unplugs the last ones, until there are so many. Repeatable. @throws qemu_failed, timeout where the guest does not release one */
export async function setVcpus(
  qmp: QmpConnection,
  model: Pick<QemuConfig, 'arch' | 'accel' | 'cpuModel'>,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  for (let have = (await cpusOf(qmp)).length; have < count; have++) await qmp.execute('device_add', cpuDevice(model, have));
  for (let have = (await cpusOf(qmp)).length; have > count; have--) await unplug(qmp, have - 1, signal);
}

async function unplug(qmp: QmpConnection, number: number, signal: AbortSignal): Promise<void> {
  const device = cpuId(number);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stops = [
    qmp.on('DEVICE_DELETED', (data) => data['device'] === device && resolve()),
    qmp.on('DEVICE_UNPLUG_GUEST_ERROR', (data) => data['device'] === device && reject(refused(number, 'its guest refused it'))),
  ];
  const over = AbortSignal.any([AbortSignal.timeout(unplugDeadlineMs), signal]);
  const cancel = () =>
    reject(signal.aborted ? signal.reason : refused(number, `its guest did not answer within ${unplugDeadlineMs / 1000} s`));
  over.addEventListener('abort', cancel, { once: true });
  promise.catch(() => {});
  try {
    await qmp.execute('device_del', { id: device });
    await promise;
  } catch (error) {
    if (!(error instanceof QmpError && error.class === 'DeviceNotFound')) throw error;
  } finally {
    for (const stop of stops) stop();
    over.removeEventListener('abort', cancel);
  }
}

const refused = (number: number, why: string) =>
  new VivError('qemu_failed', `vCPU ${number} was not unplugged: ${why}. It changes at the next start`);
