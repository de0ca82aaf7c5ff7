// `network.remove`: only a network without NICs.
import { someOf, VivError } from '../../contract/errors.ts';
import type { Networks } from '../../network/networks.ts';
import type { HandlerOf } from '../handler.ts';

interface Removing {
  name: string;
}

export const handler: HandlerOf<'network.remove'> = {
  target: ({ name }: Removing) => name,
  queue: () => 'networks',
  prepare: async ({ network, force }, { services: { networks } }): Promise<Removing> => {
    if (!force || !networks.records.unreadableOf(network)) networks.records.get(network);
    checkUnused(network, networks);
    return { name: network };
  },
  steps: [
    {
      name: 'remove the record',
      run: async ({ name }: Removing, { services: { networks, events } }) => {
        if (!networks.records.byName(name) && !networks.records.unreadableOf(name)) return;
        checkUnused(name, networks);
        if (!(await networks.records.dropUnreadable(name))) await networks.records.drop(name);
        await networks.tryReconcile();
        events.record({ type: 'network.removed', name, message: `the network ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: Removing) => ({ name }),
};

function checkUnused(name: string, networks: Networks): void {
  const users = networks.nics.usersOf(name);
  if (users.length === 0) return;
  throw new VivError(
    'in_use',
    `the network ${name} is used by VMs or their snapshots: ${someOf(users)}; remove those NICs with viv nic rm, or the VMs`,
    { details: { users } },
  );
}
