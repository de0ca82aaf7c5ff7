// Every byte that snapshots consist of is read and compared with its checksum. What is found is recorded: a snapshot that is known to be
// damaged is neither restored nor forked (check-files.ts), until it is found whole again. Each file is read once, however many snapshots
// share it.
import { VivError } from '../../contract/errors.ts';
import { checksummedFiles, compareChecksums, type Pace, readChecksums, takeChecksums } from '../../vm/capture/checksums.ts';
import { filesOfSnapshot } from '../../vm/capture/snapshot-files.ts';
import type { SnapshotRecord } from '../../vm/capture/snapshot-record.ts';
import { checkFiles } from '../check-files.ts';
import type { Uses } from '../services.ts';

export interface Verified {
  /** How many files have been compared. */
  compared: number;
  /** How many had no checksums, and have them from now on. */
  checksummed: number;
  damages: { snapshot: string; file: string; damage: string }[];
}

/**
 * @param snapshots those that are complete; one that is removed meanwhile is left out
 * @param since files that have been compared since then are not read again
 * @throws what `pace` throws
 */
export async function verifySnapshots(
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'clock'>,
  snapshots: readonly SnapshotRecord[],
  pace: Pace,
  since = Number.POSITIVE_INFINITY,
): Promise<Verified> {
  const verified: Verified = { compared: 0, checksummed: 0, damages: [] };
  const done = new Set<string>();
  for (const { id } of snapshots) {
    const snapshot = services.snapshots.byId(id);
    if (!snapshot) continue;
    const quick = await quickDamage(services, snapshot);
    for (const file of checksummedFiles(snapshot, services.paths)) {
      if (done.has(file) || quick?.file === file || (services.checks.of(file)?.at ?? 0) >= since) continue;
      done.add(file);
      const what = await verifyFile(services, file, pace);
      if (what !== null) verified[what] += 1;
    }
    const known = services.snapshots.byId(id) && (quick ?? services.checks.damaged(filesOfSnapshot(snapshot, services.paths)));
    if (known) verified.damages.push({ snapshot: id, ...known });
  }
  return verified;
}

/** Missing, truncated, not a disk image: found without reading much. */
async function quickDamage(
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'clock'>,
  snapshot: SnapshotRecord,
): Promise<{ file: string; damage: string } | null> {
  const { checks, paths } = services;
  try {
    await checkFiles(snapshot, services.vms.byId(snapshot.vm)?.name ?? snapshot.vmRecord.name, paths);
  } catch (error) {
    const { file, damage } = (error instanceof VivError && error.code === 'corrupt' && error.details) || {};
    if (typeof file !== 'string' || typeof damage !== 'string') throw error;
    if (services.snapshots.byId(snapshot.id)) await note(services, file, damage);
    return { file, damage };
  }
  // What has no checksums of its own kind is whole then.
  const checksummed = new Set(checksummedFiles(snapshot, paths));
  await checks.forget(filesOfSnapshot(snapshot, paths).filter((file) => !checksummed.has(file)));
  return null;
}

/** Null: the file was removed with its snapshots. */
async function verifyFile(
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'clock'>,
  file: string,
  pace: Pace,
): Promise<'compared' | 'checksummed' | null> {
  const { paths } = services;
  try {
    const checksums = await readChecksums(paths, file);
    if (checksums) await note(services, file, await compareChecksums(file, checksums, pace));
    else await takeChecksums(paths, file, pace);
    return checksums ? 'compared' : 'checksummed';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code !== 'EIO' && code !== 'EBADMSG') throw error;
    await note(services, file, `cannot be read (${code})`);
    return 'compared';
  }
}

/** Damage is reported when it is found first. */
async function note(
  services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'clock'>,
  file: string,
  damage: string | null,
): Promise<void> {
  const { vms, checks, snapshots, paths, clock } = services;
  const known = checks.of(file)?.damage ?? null;
  await checks.note(file, { at: clock.now(), damage });
  if (damage === null || known !== null) return;
  const affected = snapshots.all().filter((snapshot) => snapshot.kind !== 'fork' && filesOfSnapshot(snapshot, paths).includes(file));
  for (const [vmRef, those] of Map.groupBy(affected, (snapshot) => snapshot.vm)) {
    const vm = vms.byId(vmRef);
    const shown = those.filter(({ kind }) => kind === 'snapshot').map(({ label, id }) => label ?? id);
    const names =
      shown.length === 0 ? 'its suspended state' : `${shown.length === 1 ? 'its snapshot' : 'its snapshots'} ${shown.join(', ')}`;
    const verb = shown.length > 1 ? 'are' : 'is';
    const message = `${names} ${verb} damaged: the file ${file} ${damage}; ${shown.length > 1 ? 'they are' : 'it is'} neither restored nor forked. Other snapshots are not affected`;
    vm?.report('snapshot.damaged', message);
  }
}
