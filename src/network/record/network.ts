// Records of networks, key `network/<name>`.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { Time } from '../../contract/field.ts';
import { HostAccess } from '../../contract/host-access.ts';
import { LinkLocal, NetworkKind, Spoofing } from '../../contract/network.ts';
import { type Kind, NamedRecords, readRecords } from '../../store/named-records.ts';
import type { Store } from '../../store/store.ts';

export const NetworkRecord = z.object({
  name: z.string(),
  kind: NetworkKind,
  /** Subnets; null: none. */
  ipv4: z.string().nullable(),
  ipv6: z.string().nullable(),
  interface: z.string().nullable(),
  spoofing: Spoofing,
  linkLocal: LinkLocal,
  capacityBytesPerSecond: z.int().nullable(),
  hostAccess: z.array(HostAccess),
  /** Id of the project that owns it; null: it belongs to the host. */
  project: z.string().nullable(),
  createdAt: Time,
});
export type NetworkRecord = z.infer<typeof NetworkRecord>;

const kind: Kind<NetworkRecord> = {
  noun: 'network',
  schema: NetworkRecord,
  notFound: (name) =>
    new VivError('not_found', `there is no network ${name}; viv network ls lists them, and viv network create ${name} creates it`),
  nameTaken: networkNameTaken,
};

export class NetworkRecords extends NamedRecords<NetworkRecord> {
  static async open(store: Store, log: Logger): Promise<NetworkRecords> {
    return new NetworkRecords(store, kind, await readRecords(store, kind, log));
  }
}

export function networkNameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the network ${name} exists already; choose another name`, { cause });
}
