// What the VMs of this host and their snapshots have in use: users, MAC addresses, images.
import type { VmRecord } from './record.ts';
import type { Uses } from './services.ts';
import { cdsInUse } from './spec.ts';

/** Uids that belong to a VM, or to one that a snapshot was taken of. */
export function takenUids({ vms, snapshots }: Uses<'vms' | 'snapshots'>): Set<number> {
  const records: VmRecord[] = [...vms.all().map(({ record }) => record), ...snapshots.all().map(({ vmRecord }) => vmRecord)];
  return new Set(records.map(({ uid }) => uid).filter((uid) => uid !== null));
}

/** MAC addresses of all NICs. */
export function takenMacs({ vms }: Uses<'vms'>): Set<string> {
  return new Set(vms.all().flatMap(({ record }) => record.nics.map(({ mac }) => mac)));
}

/** Names of the VMs and snapshots that use an image; ids of VMs whose record cannot be read. */
export function imageUsers(digest: string, { vms, snapshots }: Uses<'vms' | 'snapshots'>): string[] {
  const users = vms
    .all()
    .filter(({ record }) => [record.image, ...record.disks, ...cdsInUse(record)].some((used) => used.digest === digest))
    .map((vm) => vm.name);
  for (const { vm: id, label, id: snapshot, vmRecord } of snapshots.all()) {
    const used = [vmRecord.image, ...vmRecord.disks, ...(vmRecord.started?.cdroms ?? [])].some((one) => one.digest === digest);
    if (used) users.push(`${vms.byId(id)?.name ?? vmRecord.name}@${label ?? snapshot}`);
  }
  return [...users, ...vms.unreadableWith(digest)];
}
