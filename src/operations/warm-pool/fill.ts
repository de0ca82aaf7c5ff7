// `pool.fill`: one machine that the pool lacks is made and stands ready. What of the pool has ended by itself is cleared away first.
import { checkPoint } from '../../snapshot/check-files.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { giveUp, isReady, membersOf, readyName } from '../../warm-pool/members.ts';
import { dropMember, type Member, makeMember, planMember, startMember } from './member.ts';
import { type OnPool, onPool, outputView } from './one.ts';

interface Filling extends OnPool {
  /** Set by the first step; null: it is full. */
  member?: Member | null;
}

export const handler: HandlerOf<'pool.fill'> = {
  ...onPool,
  prepare: async ({ pool }, { services: { machines } }): Promise<Filling> => ({ name: machines.pools.get(pool).name }),
  steps: [
    {
      name: 'see what lacks',
      run: async ({ name }: Filling, { services: { machines } }) => {
        const { size, point, vm } = machines.pools.get(name);
        await checkPoint(machines.points.get(point), machines.get(vm).name, machines);
        for (const machine of membersOf(machines, name)) if (!isReady(machine)) await giveUp(machine, machines);
        return { member: membersOf(machines, name).length < size ? planMember(machines, readyName) : null };
      },
    },
    {
      name: 'make the machine',
      run: async ({ name, member }: Filling, { services: { machines }, signal }) => {
        if (member) await makeMember(machines.pools.get(name), member, true, machines, signal);
      },
      undo: async ({ member }: Filling, { services: { machines } }) => {
        if (member) await dropMember(member.id, machines);
      },
    },
    {
      name: 'load the point',
      run: async ({ member }: Filling, { services: { machines }, signal }) => {
        if (member && machines.byId(member.id)) await startMember(member.id, machines, signal, true);
      },
      undo: async ({ member }: Filling, { services: { machines } }) => {
        const machine = member && machines.byId(member.id);
        if (machine) await endNow(machine, machines);
      },
    },
  ],
  output: outputView,
};
