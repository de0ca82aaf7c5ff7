// `warm-pool.remove`: nothing is kept ready any more. What was taken from it stays.

import type { HandlerOf } from '../../task/handler.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { abandon, membersOf } from '../../warm-pool/members.ts';
import { type OnWarmPool, onWarmPool } from './one.ts';

export const handler: HandlerOf<'warm-pool.remove'> = {
  ...onWarmPool,
  prepare: async ({ warmPool }, { services: { vms } }): Promise<OnWarmPool> => ({ name: vms.warmPools.get(warmPool).name }),
  steps: [
    {
      name: 'end what is ready',
      run: async ({ name }: OnWarmPool, { services: { vms } }) => {
        for (const vm of membersOf(vms, name)) await abandon(vm, vms);
      },
      // What has ended is made again.
      undo: async ({ name }: OnWarmPool, { services: { vms } }) => vms.host.warmPoolChanged(name),
    },
    {
      name: 'forget it',
      run: async ({ name }: OnWarmPool, { services: { vms, events } }) => {
        if (!vms.warmPools.byName(name)) return;
        await vms.warmPools.drop(name);
        await collectLayers(vms);
        events.record({ type: 'warm-pool.removed', name, message: `the warm pool ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: OnWarmPool) => ({ name }),
};
