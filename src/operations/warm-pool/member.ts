// A fork of a pool's point, made as vm.fork makes its children: with `hold` it stands ready, without it runs at once.
import { machineIdentity } from '../../host/identity.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { removeFiles } from '../../vm/files.ts';
import { childRecord, makeChildFiles } from '../../vm/fork/fork-record.ts';
import { checkStart, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { Machines } from '../../vm/registry.ts';
import type { PoolRecord } from '../../warm-pool/records.ts';

export interface Member {
  id: string;
  name: string;
  uid: number | null;
  createdAt: number;
}

export function planMember(machines: Machines, nameOf: (id: string) => string): Member {
  const id = idWithOwnMacs(machines.macs());
  return { id, name: nameOf(id), uid: machines.host.ownUsers ? machineIdentity(id, machines.uids()) : null, createdAt: Date.now() };
}

/** Its record and files. Repeatable. @param ready it stands in the pool */
export async function makeMember(
  { point: pointId, vm, name: pool }: PoolRecord,
  member: Member,
  ready: boolean,
  machines: Machines,
  signal: AbortSignal,
): Promise<void> {
  const point = machines.points.get(pointId);
  const parent = machines.byId(vm)?.name ?? point.machine.name;
  const record = childRecord(point, member, parent, machines.host, member.createdAt);
  const machine = await machines.insert({ ...record, pool: ready ? pool : null });
  if (machine.live === null) await makeChildFiles(machine.record, point, machines.host, signal);
}

/** Takes back what makeMember has made; one that stood ready has a process already. Repeatable. */
export async function dropMember(id: string, machines: Machines): Promise<void> {
  const machine = machines.byId(id);
  if (machine) {
    await endNow(machine, machines);
    await removeFiles(machine.record, machines.host);
  }
  await machines.drop(id);
}

/** Repeatable. */
export async function startMember(id: string, machines: Machines, signal: AbortSignal, hold: boolean): Promise<void> {
  const machine = machines.get(id);
  const { live, record } = machine;
  if (live && (hold || record.state !== 'suspended')) return;
  // It ended while it stood ready, which is no reason not to wake it.
  if (!live && record.state === 'broken' && record.wakeFrom !== null)
    await machine.update(() => ({ state: 'suspended', stateReason: null }));
  // One that stands ready has been looked at when it was made.
  const accel = live ? await machines.host.accelerator(record.started?.accelInUse ?? 'auto') : (await checkStart(machine, machines)).accel;
  await startProcess(machine, machines, accel, signal, { hold });
}
