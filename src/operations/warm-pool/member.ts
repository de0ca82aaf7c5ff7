// A fork of a warm pool's snapshot, made as vm.fork makes its children: with `hold` it stands ready, without it runs at once.
import { vmIdentity } from '../../host/identity.ts';
import { idWithOwnMacs } from '../../vm/device/nics.ts';
import { removeFiles } from '../../vm/files.ts';
import { childRecord, makeChildFiles } from '../../vm/fork/fork-record.ts';
import { checkStart, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import type { WarmPoolRecord } from '../../warm-pool/records.ts';

export interface Member {
  id: string;
  name: string;
  uid: number | null;
  createdAt: number;
}

export function planMember(vms: VmRegistry, nameOf: (id: string) => string): Member {
  const id = idWithOwnMacs(vms.macs());
  return { id, name: nameOf(id), uid: vms.host.ownUsers ? vmIdentity(id, vms.uids()) : null, createdAt: Date.now() };
}

/** Its record and files. Repeatable. @param ready it stands in the warm pool */
export async function makeMember(
  { snapshot: snapshotId, vm: vmRef, name: warmPool }: WarmPoolRecord,
  member: Member,
  ready: boolean,
  vms: VmRegistry,
  signal: AbortSignal,
): Promise<void> {
  const snapshot = vms.snapshots.get(snapshotId);
  const parent = vms.byId(vmRef)?.name ?? snapshot.vmRecord.name;
  const record = childRecord(snapshot, member, parent, vms.host, member.createdAt);
  const vm = await vms.insert({ ...record, warmPool: ready ? warmPool : null });
  if (vm.live === null) await makeChildFiles(vm.record, snapshot, vms.host, signal);
}

/** Takes back what makeMember has made; one that stood ready has a process already. Repeatable. */
export async function dropMember(id: string, vms: VmRegistry): Promise<void> {
  const vm = vms.byId(id);
  if (vm) {
    await endNow(vm, vms);
    await removeFiles(vm.record, vms.host);
  }
  await vms.drop(id);
}

/** Repeatable. */
export async function startMember(id: string, vms: VmRegistry, signal: AbortSignal, hold: boolean): Promise<void> {
  const vm = vms.get(id);
  const { live, record } = vm;
  if (live && (hold || record.state !== 'suspended')) return;
  // It ended while it stood ready, which is no reason not to wake it.
  if (!live && record.state === 'broken' && record.resumeFrom !== null) await vm.update(() => ({ state: 'suspended', stateReason: null }));
  // One that stands ready has been looked at when it was made.
  const accel = live ? await vms.host.accelerator(record.started?.accelInUse ?? 'auto') : (await checkStart(vm, vms)).accel;
  await startProcess(vm, vms, accel, signal, { hold });
}
