// Records of port forwards, key `forward/<name>`; the name is the host's side (contract/forward.ts).
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Time } from '../../contract/field.ts';
import { ForwardWish } from '../../contract/forward.ts';
import { type Kind, NamedRecords, readRecords } from '../../store/named-records.ts';
import type { Store } from '../../store/store.ts';

export const ForwardRecord = z.object({
  name: z.string(),
  ...ForwardWish.shape,
  /** Id of the VM. */
  vm: z.string(),
  nic: z.string(),
  createdAt: Time,
});
export type ForwardRecord = z.infer<typeof ForwardRecord>;

const kind: Kind<ForwardRecord> = {
  noun: 'forward',
  schema: ForwardRecord,
  notFound: (name) => new VivError('not_found', `there is no port forward ${name}; viv forward ls lists them`),
  nameTaken: (name, cause) => new VivError('in_use', `the port forward ${name} exists already; choose another port`, { cause }),
};

export class ForwardRecords extends NamedRecords<ForwardRecord> {
  static async open(store: Store, log: Logger): Promise<ForwardRecords> {
    return new ForwardRecords(store, kind, await readRecords(store, kind, log));
  }
}
