// A member of a warm pool: a fork of its snapshot, created as vm.fork creates its forks. With `hold` its guest waits, without it runs at once.

import { vmIdentity } from '../../host/identity.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { removeFiles } from '../../vm/files.ts';
import { childRecord, makeChildFiles } from '../../vm/fork/fork-record.ts';
import { takenMacs, takenUids } from '../../vm/in-use.ts';
import { checkStart } from '../../vm/lifecycle/check-start.ts';
import { startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { dropVm, insertVm } from '../../vm/register.ts';
import type { WarmPoolRecord } from '../../warm-pool/records.ts';
import type { Services } from '../services.ts';

export interface Member {
  id: string;
  name: string;
  uid: number | null;
  createdAt: number;
}

export function planMember(services: Services, nameOf: (id: string) => string): Member {
  const id = idWithOwnMacs(takenMacs(services));
  return { id, name: nameOf(id), uid: services.ownUsers ? vmIdentity(id, takenUids(services)) : null, createdAt: Date.now() };
}

/** Its record and files. Repeatable. @param ready it stands in the warm pool */
export async function makeMember(
  { snapshot: snapshotId, vm: vmRef, name: warmPool }: WarmPoolRecord,
  member: Member,
  ready: boolean,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const snapshot = services.snapshots.get(snapshotId);
  const parent = services.vms.byId(vmRef)?.name ?? snapshot.vmRecord.name;
  const record = childRecord(snapshot, member, parent, services, member.createdAt);
  const vm = await insertVm({ ...record, warmPool: ready ? warmPool : null }, services);
  if (vm.live === null) await makeChildFiles(vm.record, snapshot, services, signal);
}

/** Undoes makeMember. Repeatable. */
export async function dropMember(id: string, services: Services): Promise<void> {
  const vm = services.vms.byId(id);
  if (vm) {
    await endNow(vm, services);
    await removeFiles(vm.record, services);
  }
  await dropVm(id, services);
}

/** Repeatable. */
export async function startMember(id: string, services: Services, signal: AbortSignal, hold: boolean): Promise<void> {
  const vm = services.vms.get(id);
  const { live, record } = vm;
  if (live && (hold || record.state !== 'suspended')) return;
  // It ended while it was ready; its suspended state is still there.
  if (!live && record.state === 'broken' && record.resumeFrom !== null) await vm.update(() => ({ state: 'suspended', stateReason: null }));
  // A ready member was checked when it was created.
  const accel = live ? await services.host.accelerator(record.started?.accelInUse ?? 'auto') : (await checkStart(vm, services)).accel;
  await startProcess(vm, services, accel, signal, { hold });
}
