// `warm-pool.take`: the guest of a ready member runs at once; without a ready member a fork of the snapshot is created. It is a VM like any
// other from then on, and has an identity of its own before it answers.

import { endNow } from '../../vm/lifecycle/stop.ts';
import { nameTaken } from '../../vm/registry.ts';
import { enter, readyIn } from '../../warm-pool/members.ts';
import type { HandlerOf } from '../handler.ts';
import { dropMember, type Member, makeMember, planMember, startMember } from './member.ts';
import type { OnWarmPool } from './one.ts';

interface Taking extends OnWarmPool {
  wish: string | null;
  /** Set by the first step. `ready`: it stands in the warm pool under another name. */
  member?: Member & { ready: boolean };
}

export const handler: HandlerOf<'warm-pool.take'> = {
  target: ({ name }: Taking) => name,
  queue: () => null,
  prepare: async ({ warmPool, name: wish }, { services: { vms, warmPools } }): Promise<Taking> => {
    if (wish !== undefined && vms.nameTaken(wish)) throw nameTaken(wish);
    return { name: warmPools.get(warmPool).name, wish: wish ?? null };
  },
  steps: [
    {
      name: 'choose a member',
      run: async (state: Taking, { services, taskId }) => {
        const warmPool = services.warmPools.get(state.name);
        const name =
          state.wish ?? freeName(warmPool.name, (taken) => services.vms.nameTaken(taken) || services.warmPools.isNameChosen(taken));
        const [ready] = readyIn(services, warmPool.name);
        const member = ready
          ? { id: ready.id, name, uid: ready.record.uid, createdAt: Date.now(), ready: true }
          : { ...planMember(services, () => name), ready: false };
        services.warmPools.choose(member, taskId);
        return { member };
      },
      undo: async ({ name }: Taking, { services: { warmPools, bus }, taskId }) => {
        warmPools.release(taskId);
        // The warm pool may have been removed meanwhile, but for the one that was chosen.
        bus.emit('warm-pool.changed', { name });
      },
    },
    {
      name: 'register the VM',
      run: async ({ name, member }: Taking, { services, signal, taskId }) => {
        if (!member) return;
        services.warmPools.choose(member, taskId);
        if (member.ready) await enter(services, member.id, member.name, member.createdAt);
        else await makeMember(services.warmPools.get(name), member, false, services, signal);
      },
      undo: async ({ member }: Taking, { services }) => {
        const vm = member && services.vms.byId(member.id);
        if (vm && vm.record.warmPool === null) await dropMember(vm.id, services);
      },
    },
    {
      name: 'run the guest',
      run: async ({ name: warmPool, member }: Taking, { services, signal, taskId }) => {
        if (!member) return;
        const vm = services.vms.get(member.id);
        const stood = vm.record.state === 'suspended';
        await startMember(member.id, services, signal, false);
        if (!vm.record.complete) await vm.update(() => ({ complete: true }));
        services.warmPools.release(taskId);
        if (!stood) return;
        await services.bus.emit('warm-pool.changed', { name: warmPool });
        const message = `${vm.name} was taken from the warm pool ${warmPool}`;
        services.events.record({ type: 'vm.taken', subject: vm.id, name: vm.name, message });
      },
      undo: async ({ member }: Taking, { services }) => {
        const vm = member && services.vms.byId(member.id);
        if (vm && vm.record.warmPool === null) await endNow(vm, services);
      },
    },
  ],
  output: async ({ member }: Taking, { vms }) => vms.get(member?.id ?? '').view(null),
};

function freeName(warmPool: string, taken: (name: string) => boolean): string {
  for (let number = 1; ; number++) {
    const end = `-${number}`;
    const name = `${warmPool.slice(0, 63 - end.length)}${end}`;
    if (!taken(name)) return name;
  }
}
