// Records of security groups, key `security-group/<name>`. A rule has a VM's id, so that it does not apply to another VM that gets the name.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Time } from '../../contract/field.ts';
import { Otherwise } from '../../contract/security-group.ts';
import { GroupRule } from '../../contract/security-group-rule.ts';
import { type Kind, NamedRecords, readRecords } from '../../store/named-records.ts';
import type { Store } from '../../store/store.ts';
import type { SecurityGroup } from '../firewall/model.ts';

export const GroupRecord = z.object({
  name: z.string(),
  rules: z.array(GroupRule),
  in: Otherwise,
  out: Otherwise,
  createdAt: Time,
});
export type GroupRecord = z.infer<typeof GroupRecord>;

const kind: Kind<GroupRecord> = {
  noun: 'security-group',
  schema: GroupRecord,
  notFound: (name) =>
    new VivError(
      'not_found',
      `there is no security group ${name}; viv security-group ls lists them, and viv security-group create ${name} creates it`,
    ),
  nameTaken: groupNameTaken,
};

export class GroupRecords extends NamedRecords<GroupRecord> {
  static async open(store: Store, log: Logger): Promise<GroupRecords> {
    return new GroupRecords(store, kind, await readRecords(store, kind, log));
  }
}

export function groupNameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the security group ${name} exists already; choose another name`, { cause });
}

/** As the firewall's model has it. */
export const securityGroup = ({ name, rules, in: into, out }: GroupRecord): SecurityGroup => ({
  name,
  rules: rules.map(({ direction, protocol, ports, remote }) => ({ direction, protocol, remote, ...(ports === null ? {} : { ports }) })),
  otherwise: { in: into, out },
});
