// What the API shows of a pool.
import type { Pool } from '../../contract/warm-pool.ts';
import { heldBytes, isReady, membersOf } from '../../warm-pool/members.ts';
import type { PoolRecord } from '../../warm-pool/records.ts';
import type { Services } from '../services.ts';

export async function viewOf({ name, vm, point: pointId, size, createdAt }: PoolRecord, { machines }: Services): Promise<Pool> {
  const members = membersOf(machines, name);
  const point = machines.points.byId(pointId);
  return {
    name,
    vm: machines.byId(vm)?.name ?? vm,
    point: point?.label ?? pointId,
    pointId,
    size,
    ready: members.filter(isReady).length,
    memoryBytes: await heldBytes(members),
    problem: machines.pools.problems.get(name) ?? null,
    createdAt,
  };
}
