// What the API shows of a pool.
import type { WarmPool } from '../../contract/warm-pool.ts';
import type { UnreadableRecord } from '../../store/named-records.ts';
import { heldBytes, isReady, membersOf } from '../../warm-pool/members.ts';
import type { WarmPoolRecord } from '../../warm-pool/records.ts';
import type { Services } from '../services.ts';

export async function viewOf({ name, vm, snapshot: snapshotId, size, createdAt }: WarmPoolRecord, services: Services): Promise<WarmPool> {
  const members = membersOf(services, name);
  const snapshot = services.snapshots.byId(snapshotId);
  return {
    name,
    vm: services.vms.byId(vm)?.name ?? vm,
    snapshot: snapshot?.label ?? snapshotId,
    snapshotId,
    size,
    ready: members.filter(isReady).length,
    memoryBytes: await heldBytes(members),
    problem: services.warmPools.problems.get(name) ?? null,
    createdAt,
  };
}

/** A warm pool whose record cannot be read: shown so that it can be removed. */
export const unreadableView = ({ name, why }: UnreadableRecord): WarmPool => ({
  ...{ name, vm: '', snapshot: '', snapshotId: '', size: 0, ready: 0, memoryBytes: 0 },
  problem: why,
  createdAt: 0,
});
