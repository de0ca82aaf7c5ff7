// `pool.take`: one that stands ready goes on at once; where none does, a fork of the point is made. It is a machine like any other
// from then on, and somebody of its own before it answers.

import type { HandlerOf } from '../../task/handler.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { nameTaken } from '../../vm/registry.ts';
import { enter, readyIn } from '../../warm-pool/members.ts';
import { dropMember, type Member, makeMember, planMember, startMember } from './member.ts';
import type { OnPool } from './one.ts';

interface Taking extends OnPool {
  wish: string | null;
  /** Set by the first step. `ready`: it stands in the pool under another name. */
  member?: Member & { ready: boolean };
}

export const handler: HandlerOf<'pool.take'> = {
  target: ({ name }: Taking) => name,
  queue: () => null,
  prepare: async ({ pool, name: wish }, { services: { machines } }): Promise<Taking> => {
    if (wish !== undefined && machines.nameTaken(wish)) throw nameTaken(wish);
    return { name: machines.pools.get(pool).name, wish: wish ?? null };
  },
  steps: [
    {
      name: 'choose one',
      run: async (state: Taking, { services: { machines }, taskId }) => {
        const pool = machines.pools.get(state.name);
        const name = state.wish ?? freeName(pool.name, (taken) => machines.nameTaken(taken) || machines.pools.isNameChosen(taken));
        const [ready] = readyIn(machines, pool.name);
        const member = ready
          ? { id: ready.id, name, uid: ready.record.uid, createdAt: Date.now(), ready: true }
          : { ...planMember(machines, () => name), ready: false };
        machines.pools.choose(member, taskId);
        return { member };
      },
      undo: async ({ name }: Taking, { services: { machines }, taskId }) => {
        machines.pools.letGo(taskId);
        // The pool may have been removed meanwhile, but for the one that was chosen.
        machines.host.poolChanged(name);
      },
    },
    {
      name: 'make it a machine',
      run: async ({ name, member }: Taking, { services: { machines }, signal, taskId }) => {
        if (!member) return;
        machines.pools.choose(member, taskId);
        if (member.ready) await enter(machines, member.id, member.name, member.createdAt);
        else await makeMember(machines.pools.get(name), member, false, machines, signal);
      },
      undo: async ({ member }: Taking, { services: { machines } }) => {
        const machine = member && machines.byId(member.id);
        if (machine && machine.record.pool === null) await dropMember(machine.id, machines);
      },
    },
    {
      name: 'let it run',
      run: async ({ name: pool, member }: Taking, { services: { machines, events }, signal, taskId }) => {
        if (!member) return;
        const machine = machines.get(member.id);
        const stood = machine.record.state === 'suspended';
        await startMember(member.id, machines, signal, false);
        if (!machine.record.complete) await machine.update(() => ({ complete: true }));
        machines.pools.letGo(taskId);
        if (!stood) return;
        machines.host.poolChanged(pool);
        const message = `${machine.name} was taken from the pool ${pool}`;
        events.record({ type: 'vm.taken', subject: machine.id, name: machine.name, message });
      },
      undo: async ({ member }: Taking, { services: { machines } }) => {
        const machine = member && machines.byId(member.id);
        if (machine && machine.record.pool === null) await endNow(machine, machines);
      },
    },
  ],
  output: async ({ member }: Taking, { machines }) => machines.get(member?.id ?? '').view(null),
};

function freeName(pool: string, taken: (name: string) => boolean): string {
  for (let number = 1; ; number++) {
    const end = `-${number}`;
    const name = `${pool.slice(0, 63 - end.length)}${end}`;
    if (!taken(name)) return name;
  }
}
