// `warm-pool.fill`: creates one member that the warm pool lacks. Members that have ended by themselves are removed first.
import { checkSnapshot } from '../../snapshot/check-files.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { evict, isReady, membersOf, readyName } from '../../warm-pool/members.ts';
import type { HandlerOf } from '../handler.ts';
import { dropMember, type Member, makeMember, planMember, startMember } from './member.ts';
import { type OnWarmPool, onWarmPool, outputView } from './one.ts';

interface Filling extends OnWarmPool {
  /** Set by the first step; null: it is full. */
  member?: Member | null;
}

export const handler: HandlerOf<'warm-pool.fill'> = {
  ...onWarmPool,
  prepare: async ({ warmPool }, { services: { warmPools } }): Promise<Filling> => ({ name: warmPools.get(warmPool).name }),
  steps: [
    {
      name: 'plan the member',
      run: async ({ name }: Filling, { services }) => {
        const { size, snapshot, vm: vmRef } = services.warmPools.get(name);
        await checkSnapshot(services.snapshots.get(snapshot), services.vms.get(vmRef).name, services);
        for (const vm of membersOf(services, name)) if (!isReady(vm)) await evict(vm, services);
        return { member: membersOf(services, name).length < size ? planMember(services, readyName) : null };
      },
    },
    {
      name: 'create the VM',
      run: async ({ name, member }: Filling, { services, signal }) => {
        if (member) await makeMember(services.warmPools.get(name), member, true, services, signal);
      },
      undo: async ({ member }: Filling, { services }) => {
        if (member) await dropMember(member.id, services);
      },
    },
    {
      name: 'load the snapshot',
      run: async ({ member }: Filling, { services, signal }) => {
        if (member && services.vms.byId(member.id)) await startMember(member.id, services, signal, true);
      },
      undo: async ({ member }: Filling, { services }) => {
        const vm = member && services.vms.byId(member.id);
        if (vm) await endNow(vm, services);
      },
    },
  ],
  output: outputView,
};
