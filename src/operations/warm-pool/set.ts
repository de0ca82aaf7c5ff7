// `warm-pool.set`: more or fewer are kept ready. Those too many end here, those that lack are made by vm/warm replenisher.ts.

import type { HandlerOf } from '../../task/handler.ts';
import { abandon, membersOf } from '../../warm-pool/members.ts';
import { type OnWarmPool, onWarmPool, outputView } from './one.ts';

interface Setting extends OnWarmPool {
  size: number;
  before: number;
}

export const handler: HandlerOf<'warm-pool.set'> = {
  ...onWarmPool,
  prepare: async ({ warmPool, size }, { services: { vms } }): Promise<Setting> => {
    const { name, size: before } = vms.warmPools.get(warmPool);
    return { name, size, before };
  },
  steps: [
    {
      name: 'set the size',
      run: ({ name, size }: Setting, { services: { vms } }) => vms.warmPools.setSize(name, size),
      undo: async ({ name, before }: Setting, { services: { vms } }) => {
        if (!vms.warmPools.byName(name)) return;
        await vms.warmPools.setSize(name, before);
        vms.host.warmPoolChanged(name);
      },
    },
    {
      name: 'end those too many',
      run: async ({ name, size }: Setting, { services: { vms } }) => {
        for (const vm of membersOf(vms, name).slice(size)) await abandon(vm, vms);
        vms.host.warmPoolChanged(name);
      },
    },
  ],
  output: outputView,
};
