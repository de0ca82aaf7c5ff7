// Each VM's process has a user of its own when the daemon is root: a number that no account has.
import { createHash } from 'node:crypto';

/** Above the range that systemd gives to containers (which ends at 1,879,048,191) and below 2^31, where some programs break. */
export const firstVmUid = 1_900_000_000;
export const vmUids = 1_000_000;

/** A uid (and gid) for VM `id` that is not among `taken`. The same id gets the same one as long as it is free. Pure. */
export function vmIdentity(id: string, taken: ReadonlySet<number>): number {
  const start = createHash('sha256').update(id).digest().readUInt32BE(0) % vmUids;
  for (let step = 0; step < vmUids; step++) {
    const uid = firstVmUid + ((start + step) % vmUids);
    if (!taken.has(uid)) return uid;
  }
  throw new RangeError('every uid for VMs is taken');
}
