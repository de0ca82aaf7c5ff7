// `group.remove`: only one that no card is in, and that no other group's rule names.
import { someOf, VivError } from '../../contract/errors.ts';
import type { Networks } from '../../network/networks.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { groupQueue } from './change.ts';

interface Removing {
  name: string;
}

export const handler: HandlerOf<'group.remove'> = {
  target: ({ name }: Removing) => name,
  queue: () => groupQueue,
  prepare: async ({ group }, { services: { machines } }): Promise<Removing> => {
    machines.networks.groups.get(group);
    checkUnused(group, machines.networks);
    return { name: group };
  },
  steps: [
    {
      name: 'forget it',
      run: async ({ name }: Removing, { services: { machines, events } }) => {
        if (!machines.networks.groups.byName(name)) return;
        checkUnused(name, machines.networks);
        await machines.networks.groups.drop(name);
        await machines.networks.changed();
        events.record({ type: 'group.removed', name, message: `the security group ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: Removing) => ({ name }),
};

function checkUnused(name: string, networks: Networks): void {
  const users = [
    ...new Set([...networks.cards.inGroup(name)].map(({ vm, nic, point }) => (point ? `a point of ${vm}` : `${nic} of ${vm}`))),
  ];
  if (users.length > 0)
    throw new VivError('in_use', `cards are in the security group ${name}: ${someOf(users)}; take them out first with viv network guard`, {
      details: { users },
    });
  const naming = networks.groups
    .all()
    .filter((other) => other.name !== name && other.rules.some(({ remote }) => remote.kind === 'group' && remote.group === name));
  if (naming.length > 0)
    throw new VivError('in_use', `rules of other groups name ${name}: ${someOf(naming.map((one) => one.name))}; revoke them first`);
}
