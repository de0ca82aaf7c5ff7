// Moving an object into a project, or out of it.

import { write } from '../../access/table.ts';
import type { ObjectKind } from '../../contract/role.ts';
import type { Transaction } from '../../store/store.ts';
import type { Services } from '../services.ts';

type Commit = (transaction: Transaction) => Promise<{ revision: number }>;

/** @param project its new owner; null: the host. @param from the only owner that it is taken from. @throws not_found, ambiguous */
export async function moveObject(
  { kind, object }: { kind: ObjectKind; object: string },
  { project, from }: { project: string | null; from?: string },
  services: Services,
  commit: Commit,
): Promise<void> {
  const { vms, images, networks, access } = services;
  if (kind === 'vm') {
    const vm = vms.find(object);
    if (from === undefined || vm.record.project === from) await vm.update(() => ({ project }));
    await commit({});
  } else if (kind === 'network') {
    const record = networks.records.get(object);
    if (from === undefined || record.project === from) await networks.records.put({ ...record, project });
    await commit({});
  } else {
    const { digest } = await images.find(object);
    const writes =
      project === null
        ? from === undefined
          ? []
          : access.projects.disownImage(digest, from)
        : [access.projects.ownImage(digest, project)];
    await write(commit, ...writes);
  }
}
