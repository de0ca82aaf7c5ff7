// Every byte that points are made of is read and compared with what was written. What is found is kept: a point that is known to be
// damaged is neither gone back to nor forked (check-point.ts), until it is found whole again; each file is read once, however
// many points have it in common.
import { VivError } from '../../contract/errors.ts';
import { compareSums, type Pace, readSums, summedFiles, takeSums } from '../../vm/capture/checksums.ts';
import type { PointRecord } from '../../vm/capture/snapshot-record.ts';
import type { Machines } from '../../vm/registry.ts';
import { checkFiles, filesOfPoint } from '../check-files.ts';

export interface Verified {
  /** How many files have been compared. */
  compared: number;
  /** How many had no sums, and have them from now on. */
  summed: number;
  damages: { point: string; file: string; damage: string }[];
}

/**
 * @param points those that are complete; one that is removed meanwhile is left out
 * @param since files that have been compared since then are not read again
 * @throws what `pace` throws
 */
export async function verifyPoints(
  machines: Machines,
  points: readonly PointRecord[],
  pace: Pace,
  since = Number.POSITIVE_INFINITY,
): Promise<Verified> {
  const verified: Verified = { compared: 0, summed: 0, damages: [] };
  const done = new Set<string>();
  for (const { id } of points) {
    const point = machines.points.byId(id);
    if (!point) continue;
    const quick = await quickDamage(machines, point);
    for (const file of summedFiles(point, machines.host.paths)) {
      if (done.has(file) || quick?.file === file || (machines.checks.of(file)?.at ?? 0) >= since) continue;
      done.add(file);
      const what = await verifyFile(machines, file, pace);
      if (what !== null) verified[what] += 1;
    }
    const known = machines.points.byId(id) && (quick ?? machines.checks.damaged(filesOfPoint(point, machines.host.paths)));
    if (known) verified.damages.push({ point: id, ...known });
  }
  return verified;
}

/** Missing, cut off, no disk any more: what can be seen without reading much. */
async function quickDamage(machines: Machines, point: PointRecord): Promise<{ file: string; damage: string } | null> {
  const { checks, host } = machines;
  try {
    await checkFiles(point, machines.byId(point.vm)?.name ?? point.machine.name, host.paths);
  } catch (error) {
    const { file, damage } = (error instanceof VivError && error.code === 'corrupt' && error.details) || {};
    if (typeof file !== 'string' || typeof damage !== 'string') throw error;
    if (machines.points.byId(point.id)) await note(machines, file, damage);
    return { file, damage };
  }
  // What has no sums of its own kind is whole then.
  const summed = new Set(summedFiles(point, host.paths));
  await checks.forget(filesOfPoint(point, host.paths).filter((file) => !summed.has(file)));
  return null;
}

/** Null: it has gone, with its points. */
async function verifyFile(machines: Machines, file: string, pace: Pace): Promise<'compared' | 'summed' | null> {
  const { host } = machines;
  try {
    const sums = await readSums(host.paths, file);
    if (sums) await note(machines, file, await compareSums(file, sums, pace));
    else await takeSums(host.paths, file, pace);
    return sums ? 'compared' : 'summed';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code !== 'EIO' && code !== 'EBADMSG') throw error;
    await note(machines, file, `cannot be read (${code})`);
    return 'compared';
  }
}

/** The first time that it is found it is news. */
async function note(machines: Machines, file: string, damage: string | null): Promise<void> {
  const { checks, points, host } = machines;
  const known = checks.of(file)?.damage ?? null;
  await checks.note(file, { at: host.clock.now(), damage });
  if (damage === null || known !== null) return;
  const affected = points.all().filter((point) => point.kind !== 'fork' && filesOfPoint(point, host.paths).includes(file));
  for (const [vm, those] of Map.groupBy(affected, (point) => point.vm)) {
    const machine = machines.byId(vm);
    const shown = those.filter(({ kind }) => kind === 'snapshot').map(({ label, id }) => label ?? id);
    const names = shown.length === 0 ? 'what it sleeps at' : `${shown.length === 1 ? 'its point' : 'its points'} ${shown.join(', ')}`;
    const verb = shown.length > 1 ? 'are' : 'is';
    const message = `${names} ${verb} damaged: the file ${file} ${damage}; ${shown.length > 1 ? 'they are' : 'it is'} neither gone back to nor forked, and other points are not affected`;
    machine?.tell({ type: 'event', machine, noun: 'snapshot', what: 'damaged', message });
  }
}
