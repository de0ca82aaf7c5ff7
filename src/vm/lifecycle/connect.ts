// The connection with a VM's QEMU: QMP, the guest's agent, and the events of both.
import type { QemuProcess } from '../../qemu/process.ts';
import { connectQmp, type QmpConnection } from '../../qemu/qmp.ts';
import { VmConnection } from '../connection.ts';
import { applyIdentity } from '../fork/apply-identity.ts';
import { BalloonWatch } from '../resource/balloon-watch.ts';
import { GuestPressureWatch } from '../resource/guest-pressure.ts';
import type { Uses } from '../services.ts';
import { hasBalloon } from '../spec.ts';
import type { Vm } from '../vm.ts';
import { listen } from './qemu-events.ts';
import { awaitAnswer } from './responding.ts';

const qmpDeadlineMs = 20_000;

/** @throws qemu_failed when QEMU ends first; timeout */
export const openQmp = (vm: Vm, process: QemuProcess, signal: AbortSignal, timeoutMs = qmpDeadlineMs): Promise<QmpConnection> =>
  connectQmp(vm.paths.qmp, { timeoutMs, signal, exited: process.exited });

/** @param held its guest does not run yet, so its agent is not asked */
export function connect(
  vm: Vm,
  { networks, resources }: Uses<'networks' | 'resources'>,
  process: QemuProcess,
  qmp: QmpConnection,
  { held = false }: { held?: boolean } = {},
): VmConnection {
  const connection = new VmConnection({
    name: () => vm.name,
    paths: vm.paths,
    process,
    qmp,
    applyIdentity: (agent) => applyIdentity(vm, networks, agent),
    onAgent: () => vm.changed(),
    held,
  });
  if (hasBalloon(vm.record)) {
    connection.balloon = new BalloonWatch(qmp, resources.clock, connection.ended);
    connection.pressure = new GuestPressureWatch(() => connection.agent, resources.clock, connection.ended);
  }
  vm.runtime.connect(connection);
  listen(vm, connection);
  qmp.onUnanswered(() => void awaitAnswer(vm, connection));
  return connection;
}
