// `pool.set`: more or fewer are kept ready. Those too many end here, those that lack are made by machine/pool-keeper.ts.

import type { HandlerOf } from '../../task/handler.ts';
import { giveUp, membersOf } from '../../warm-pool/members.ts';
import { type OnPool, onPool, outputView } from './one.ts';

interface Setting extends OnPool {
  size: number;
  before: number;
}

export const handler: HandlerOf<'pool.set'> = {
  ...onPool,
  prepare: async ({ pool, size }, { services: { machines } }): Promise<Setting> => {
    const { name, size: before } = machines.pools.get(pool);
    return { name, size, before };
  },
  steps: [
    {
      name: 'set the size',
      run: ({ name, size }: Setting, { services: { machines } }) => machines.pools.setSize(name, size),
      undo: async ({ name, before }: Setting, { services: { machines } }) => {
        if (!machines.pools.byName(name)) return;
        await machines.pools.setSize(name, before);
        machines.host.poolChanged(name);
      },
    },
    {
      name: 'end those too many',
      run: async ({ name, size }: Setting, { services: { machines } }) => {
        for (const machine of membersOf(machines, name).slice(size)) await giveUp(machine, machines);
        machines.host.poolChanged(name);
      },
    },
  ],
  output: outputView,
};
