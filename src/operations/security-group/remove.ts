// `security-group.remove`: only a group that no NIC and no other group's rule uses.
import { someOf, VivError } from '../../contract/errors.ts';
import type { Networks } from '../../network/networks.ts';
import type { HandlerOf } from '../handler.ts';
import { groupQueue } from './change.ts';

interface Removing {
  name: string;
}

export const handler: HandlerOf<'security-group.remove'> = {
  target: ({ name }: Removing) => name,
  queue: () => groupQueue,
  prepare: async ({ securityGroup: group, force }, { services: { networks } }): Promise<Removing> => {
    if (!force || !networks.groups.unreadableOf(group)) networks.groups.get(group);
    checkUnused(group, networks);
    return { name: group };
  },
  steps: [
    {
      name: 'remove the record',
      run: async ({ name }: Removing, { services: { networks, events } }) => {
        if (!networks.groups.byName(name) && !networks.groups.unreadableOf(name)) return;
        checkUnused(name, networks);
        if (!(await networks.groups.dropUnreadable(name))) await networks.groups.drop(name);
        await networks.tryReconcile();
        events.record({ type: 'security-group.removed', name, message: `the security group ${name} was removed` });
      },
    },
  ],
  output: async ({ name }: Removing) => ({ name }),
};

function checkUnused(name: string, networks: Networks): void {
  const users = [
    ...new Set([...networks.nics.inGroup(name)].map(({ vm, nic, snapshot }) => (snapshot ? `a snapshot of ${vm}` : `${nic} of ${vm}`))),
  ];
  if (users.length > 0)
    throw new VivError(
      'in_use',
      `NICs are in the security group ${name}: ${someOf(users)}; remove them from it first with viv nic set --security-group`,
      {
        details: { users },
      },
    );
  const naming = networks.groups
    .all()
    .filter((other) => other.name !== name && other.rules.some(({ remote }) => remote.kind === 'group' && remote.group === name));
  if (naming.length > 0)
    throw new VivError('in_use', `rules of other groups name ${name}: ${someOf(naming.map((one) => one.name))}; revoke them first`);
}
