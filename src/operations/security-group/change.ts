// Shared by `security-group.allow`, `revoke` and `set`: changes the record, and reconciles the kernel before the task ends.
import type { Group } from '../../contract/security-group.ts';
import type { GroupRecord } from '../../network/record/security-group.ts';
import type { Call, TaskHandler } from '../handler.ts';
import type { Services } from '../services.ts';
import { viewOf } from './view.ts';

/** One at a time, because rules refer to other groups. */
export const groupQueue = 'groups';

type Contents = Pick<GroupRecord, 'rules' | 'in' | 'out'>;

interface Changing<C> {
  name: string;
  change: C;
  before: Contents | null;
}

/**
 * @param read the change that was requested; throws where it is not possible
 * @param change applies it; idempotent
 */
export function changeGroup<I extends { securityGroup: string }, C>(
  read: (input: I, services: Services, group: GroupRecord) => C,
  change: (group: Contents, change: C) => Contents,
): TaskHandler<I, Group, Changing<C>> {
  const put = async ({ networks }: Services, name: string, contents: Contents) => {
    await networks.groups.put({ ...networks.groups.get(name), ...contents });
    await networks.reconcile();
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
        name: 'record the present rules',
        run: async ({ name }, { services: { networks } }) => {
          const { rules, in: into, out } = networks.groups.get(name);
          return { before: { rules, in: into, out } };
        },
      },
      {
        name: 'apply the rules',
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
