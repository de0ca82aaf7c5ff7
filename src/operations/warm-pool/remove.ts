// `pool.remove`: nothing is kept ready any more. What was taken from it stays.

import type { HandlerOf } from '../../task/handler.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { giveUp, membersOf } from '../../warm-pool/members.ts';
import { type OnPool, onPool } from './one.ts';

export const handler: HandlerOf<'pool.remove'> = {
  ...onPool,
  prepare: async ({ pool }, { services: { machines } }): Promise<OnPool> => ({ name: machines.pools.get(pool).name }),
  steps: [
    {
      name: 'end what is ready',
      run: async ({ name }: OnPool, { services: { machines } }) => {
        for (const machine of membersOf(machines, name)) await giveUp(machine, machines);
      },
      // What has ended is made again.
      undo: async ({ name }: OnPool, { services: { machines } }) => machines.host.poolChanged(name),
    },
    {
      name: 'forget it',
      run: async ({ name }: OnPool, { services: { machines, events } }) => {
        if (!machines.pools.byName(name)) return;
        await machines.pools.drop(name);
        await collectLayers(machines);
        events.record({ type: 'pool.removed', name, message: `the pool ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: OnPool) => ({ name }),
};
