// `warm-pool.set`: changes how many members are kept ready. Surplus members are removed here; warm-pool/replenisher.ts creates more.

import { evict, membersOf } from '../../warm-pool/members.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnWarmPool, onWarmPool, outputView } from './one.ts';

interface Setting extends OnWarmPool {
  size: number;
  before: number;
}

export const handler: HandlerOf<'warm-pool.set'> = {
  ...onWarmPool,
  prepare: async ({ warmPool, size }, { services: { warmPools } }): Promise<Setting> => {
    const { name, size: before } = warmPools.get(warmPool);
    return { name, size, before };
  },
  steps: [
    {
      name: 'record the size',
      run: ({ name, size }: Setting, { services: { warmPools } }) => warmPools.setSize(name, size),
      undo: async ({ name, before }: Setting, { services: { warmPools, bus } }) => {
        if (!warmPools.byName(name)) return;
        await warmPools.setSize(name, before);
        bus.emit('warm-pool.changed', { name });
      },
    },
    {
      name: 'remove surplus members',
      run: async ({ name, size }: Setting, { services }) => {
        for (const vm of membersOf(services, name).slice(size)) await evict(vm, services);
        await services.bus.emit('warm-pool.changed', { name });
      },
    },
  ],
  output: outputView,
};
