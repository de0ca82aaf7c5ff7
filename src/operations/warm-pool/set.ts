// `warm-pool.set`: more or fewer are kept ready. Those too many end here, those that lack are made by vm/warm replenisher.ts.

import { abandon, membersOf } from '../../warm-pool/members.ts';
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
      name: 'set the size',
      run: ({ name, size }: Setting, { services: { warmPools } }) => warmPools.setSize(name, size),
      undo: async ({ name, before }: Setting, { services: { warmPools, bus } }) => {
        if (!warmPools.byName(name)) return;
        await warmPools.setSize(name, before);
        bus.emit('warm-pool.changed', { name });
      },
    },
    {
      name: 'end those too many',
      run: async ({ name, size }: Setting, { services }) => {
        for (const vm of membersOf(services, name).slice(size)) await abandon(vm, services);
        await services.bus.emit('warm-pool.changed', { name });
      },
    },
  ],
  output: outputView,
};
