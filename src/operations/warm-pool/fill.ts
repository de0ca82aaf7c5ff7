// `warm-pool.fill`: one VM that the warm pool lacks is made and stands ready. What of the warm pool has ended by itself is cleared away first.
import { checkSnapshot } from '../../snapshot/check-files.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { abandon, isReady, membersOf, readyName } from '../../warm-pool/members.ts';
import { dropMember, type Member, makeMember, planMember, startMember } from './member.ts';
import { type OnWarmPool, onWarmPool, outputView } from './one.ts';

interface Filling extends OnWarmPool {
  /** Set by the first step; null: it is full. */
  member?: Member | null;
}

export const handler: HandlerOf<'warm-pool.fill'> = {
  ...onWarmPool,
  prepare: async ({ warmPool }, { services: { vms } }): Promise<Filling> => ({ name: vms.warmPools.get(warmPool).name }),
  steps: [
    {
      name: 'see what lacks',
      run: async ({ name }: Filling, { services: { vms } }) => {
        const { size, snapshot, vm: vmRef } = vms.warmPools.get(name);
        await checkSnapshot(vms.snapshots.get(snapshot), vms.get(vmRef).name, vms);
        for (const vm of membersOf(vms, name)) if (!isReady(vm)) await abandon(vm, vms);
        return { member: membersOf(vms, name).length < size ? planMember(vms, readyName) : null };
      },
    },
    {
      name: 'make the VM',
      run: async ({ name, member }: Filling, { services: { vms }, signal }) => {
        if (member) await makeMember(vms.warmPools.get(name), member, true, vms, signal);
      },
      undo: async ({ member }: Filling, { services: { vms } }) => {
        if (member) await dropMember(member.id, vms);
      },
    },
    {
      name: 'load the snapshot',
      run: async ({ member }: Filling, { services: { vms }, signal }) => {
        if (member && vms.byId(member.id)) await startMember(member.id, vms, signal, true);
      },
      undo: async ({ member }: Filling, { services: { vms } }) => {
        const vm = member && vms.byId(member.id);
        if (vm) await endNow(vm, vms);
      },
    },
  ],
  output: outputView,
};
