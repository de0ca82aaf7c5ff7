// `security-group.create`.
import { type GroupRecord, groupNameTaken } from '../../network/record/security-group.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { groupQueue } from './change.ts';
import { ruleFrom, viewOf } from './view.ts';

interface Creating {
  name: string;
  record: GroupRecord;
}

export const handler: HandlerOf<'security-group.create'> = {
  target: ({ name }: Creating) => name,
  queue: () => groupQueue,
  prepare: async ({ securityGroup: name, rules, in: into, out }, { services: { vms } }): Promise<Creating> => {
    if (vms.networks.groups.byName(name)) throw groupNameTaken(name);
    const record = { name, rules: rules.map((text) => ruleFrom(text, vms, name)), in: into, out, createdAt: Date.now() };
    return { name, record };
  },
  steps: [
    {
      name: 'enter it',
      run: async ({ name, record }: Creating, { services: { vms, events } }) => {
        await vms.networks.groups.insert(record);
        events.record({ type: 'security-group.created', name, message: `the security group ${name} was made` });
      },
      undo: async ({ name, record }: Creating, { services: { vms } }) => {
        const { groups } = vms.networks;
        if (groups.byName(name)?.createdAt === record.createdAt) await groups.drop(name);
      },
    },
  ],
  output: async ({ name }: Creating, services) => viewOf(services.vms.networks.groups.get(name), services),
};
