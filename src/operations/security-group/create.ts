// `security-group.create`.
import { type GroupRecord, groupNameTaken } from '../../network/record/security-group.ts';
import type { HandlerOf } from '../handler.ts';
import { groupQueue } from './change.ts';
import { ruleFrom, viewOf } from './view.ts';

interface Creating {
  name: string;
  record: GroupRecord;
}

export const handler: HandlerOf<'security-group.create'> = {
  target: ({ name }: Creating) => name,
  queue: () => groupQueue,
  prepare: async ({ securityGroup: name, rules, in: into, out }, { services }): Promise<Creating> => {
    if (services.networks.groups.byName(name)) throw groupNameTaken(name);
    const record = { name, rules: rules.map((text) => ruleFrom(text, services, name)), in: into, out, createdAt: Date.now() };
    return { name, record };
  },
  steps: [
    {
      name: 'record the security group',
      run: async ({ name, record }: Creating, { services: { networks, events } }) => {
        await networks.groups.insert(record);
        events.record({ type: 'security-group.created', name, message: `the security group ${name} was created` });
      },
      undo: async ({ name, record }: Creating, { services: { networks } }) => {
        const { groups } = networks;
        if (groups.byName(name)?.createdAt === record.createdAt) await groups.drop(name);
      },
    },
  ],
  output: async ({ name }: Creating, services) => viewOf(services.networks.groups.get(name), services),
};
