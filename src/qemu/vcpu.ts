// The vCPUs of a running VM: their threads, and plugging more in.
// They are not unplugged: a QEMU under emulation whose guest has not answered an unplug request does not save its state afterwards (10.0.2).
import { z } from 'zod';
import { cpuDevice } from './args/cpu.ts';
import type { QemuConfig } from './config.ts';
import type { QmpConnection } from './qmp.ts';

const Cpus = z.array(z.object({ 'cpu-index': z.number(), 'thread-id': z.number() }));

/** Thread ids, by number of the vCPU. */
export const vcpuThreads = async (qmp: QmpConnection): Promise<number[]> =>
  Cpus.parse(await qmp.execute('query-cpus-fast'))
    .sort((one, other) => one['cpu-index'] - other['cpu-index'])
    .map((cpu) => cpu['thread-id']);

/** Plugs vCPUs in until there are so many. Repeatable. @throws qemu_failed */
export async function plugVcpus(qmp: QmpConnection, model: Pick<QemuConfig, 'arch' | 'accel' | 'cpuModel'>, count: number): Promise<void> {
  for (let have = (await vcpuThreads(qmp)).length; have < count; have++) await qmp.execute('device_add', cpuDevice(model, have));
}
