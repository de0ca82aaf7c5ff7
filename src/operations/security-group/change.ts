// What `security-group.allow`, `security-group.revoke` and `security-group.set` share: a group's record is changed, and the kernel has it when the task is done.
import type { Group } from '../../contract/security-group.ts';
import type { GroupRecord } from '../../network/record/security-group.ts';
import type { Call, TaskHandler } from '../handler.ts';
import type { Services } from '../services.ts';
import { viewOf } from './view.ts';

/** One after the other: rules of one name others. */
export const groupQueue = 'groups';

type Contents = Pick<GroupRecord, 'rules' | 'in' | 'out'>;

interface Changing<C> {
  name: string;
  change: C;
  before: Contents | null;
}

/**
 * @param read what is to change, from what was asked; throws what is wrong with it
 * @param change what it is then; the same however often it is applied
 */
export function changeGroup<I extends { securityGroup: string }, C>(
  read: (input: I, services: Services, group: GroupRecord) => C,
  change: (group: Contents, change: C) => Contents,
): TaskHandler<I, Group, Changing<C>> {
  const put = async ({ networks }: Services, name: string, contents: Contents) => {
    await networks.groups.put({ ...networks.groups.get(name), ...contents });
    await networks.bring();
  };
  return {
    target: ({ name }) => name,
    queue: () => groupQueue,
    prepare: async (input: I, { services }: Call) => ({
      name: input.securityGroup,
      change: read(input, services, services.networks.groups.get(input.securityGroup)),
      before: null,
    }),
    steps: [
      {
        name: 'see what it is now',
        run: async ({ name }, { services: { networks } }) => {
          const { rules, in: into, out } = networks.groups.get(name);
          return { before: { rules, in: into, out } };
        },
      },
      {
        name: 'change it',
        run: async ({ name, change: what }, { services }) => {
          await put(services, name, change(services.networks.groups.get(name), what));
          services.events.record({ type: 'security-group.changed', name, message: `the security group ${name} was changed` });
        },
        undo: async ({ name, before }, { services }) => {
          if (before !== null && services.networks.groups.byName(name)) await put(services, name, before);
        },
      },
    ],
    output: async ({ name }, services) => viewOf(services.networks.groups.get(name), services),
  };
}
