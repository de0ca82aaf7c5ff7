// `warm-pool.remove`: nothing is kept ready any more. What was taken from it stays.

import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { evict, membersOf } from '../../warm-pool/members.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnWarmPool, onWarmPool } from './one.ts';

export const handler: HandlerOf<'warm-pool.remove'> = {
  ...onWarmPool,
  prepare: async ({ warmPool, force }, { services: { warmPools } }): Promise<OnWarmPool> => {
    if (!force || !warmPools.unreadableOf(warmPool)) warmPools.get(warmPool);
    return { name: warmPool };
  },
  steps: [
    {
      name: 'remove the members',
      run: async ({ name }: OnWarmPool, { services }) => {
        for (const vm of membersOf(services, name)) await evict(vm, services);
      },
      // What has ended is made again.
      undo: async ({ name }: OnWarmPool, { services: { bus } }) => bus.emit('warm-pool.changed', { name }),
    },
    {
      name: 'remove the record',
      run: async ({ name }: OnWarmPool, { services }) => {
        const { warmPools } = services;
        if (!warmPools.byName(name) && !warmPools.unreadableOf(name)) return;
        if (!(await warmPools.dropUnreadable(name))) await warmPools.drop(name);
        await collectLayers(services);
        services.events.record({ type: 'warm-pool.removed', name, message: `the warm pool ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: OnWarmPool) => ({ name }),
};
