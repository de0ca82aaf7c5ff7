// The sums of a point's large files: its memory's are taken while it is written, those of its disks' layers in the background when
// nobody writes to them any more (scrub.ts). A file of their own for each, so that no point has to be whole for another's.
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { makeDurable } from '../../host/durable.ts';
import { newId } from '../../host/id.ts';
import type { Paths } from '../../host/paths.ts';
import { decodeSums, encodeSums, firstDifference, type Sums, sumFile } from '../../storage/block-checksums.ts';
import type { Machines } from '../registry.ts';
import type { PointRecord } from './snapshot-record.ts';

/** What is read in pieces: waits where that is faster than it is meant to be, and throws the reason to stop. */
export type Pace = (bytes: number) => Promise<void>;

const partEnd = '.part';

/** Files of a point that have sums, or are going to. */
export function summedFiles({ id, memory, sums }: PointRecord, paths: Paths): string[] {
  return [...(memory?.in === 'file' ? [paths.point(id).memory] : []), ...Object.keys(sums?.layers ?? {})];
}

/** Repeatable. @throws no_space */
export async function writeSums(paths: Paths, file: string, sums: Sums): Promise<void> {
  const kept = paths.sumsOf(file);
  const part = `${kept}.${newId()}${partEnd}`;
  try {
    const handle = await open(part, 'w', 0o600);
    try {
      await handle.writeFile(encodeSums(sums));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(part, kept);
  } catch (cause) {
    if (!['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
    throw new VivError('no_space', `the sums of ${file} cannot be kept, because the host’s disk is full; make room and try again`, {
      cause,
    });
  } finally {
    await rm(part, { force: true });
  }
  await makeDurable(paths.sums);
}

/** For another name of the same file. Repeatable. */
export async function copySums(paths: Paths, from: string, to: string): Promise<void> {
  const sums = await readSums(paths, from);
  if (sums) await writeSums(paths, to, sums);
}

/** Null: it has none, or they are damaged. */
export async function readSums(paths: Paths, file: string): Promise<Sums | null> {
  const kept = await readFile(paths.sumsOf(file)).catch(() => null);
  return kept && decodeSums(kept);
}

/** Of a file that nobody writes to any more, as it is on the disk. */
export async function takeSums(paths: Paths, file: string, pace: Pace): Promise<void> {
  await using handle = await open(file, 'r');
  await handle.sync();
  await writeSums(paths, file, await sumsOf(handle, pace));
}

/** @returns null: it is as it was written; else what is wrong with it */
export async function compareSums(file: string, wanted: Sums, pace: Pace): Promise<string | null> {
  await using handle = await open(file, 'r');
  const found = await sumsOf(handle, pace);
  if (found.bytes !== wanted.bytes) return `has ${found.bytes} bytes instead of ${wanted.bytes}`;
  const at = firstDifference(found, wanted);
  return at === null ? null : `is not as it was written (the first change is in the MiB at byte ${at})`;
}

async function sumsOf(handle: FileHandle, pace: Pace): Promise<Sums> {
  return sumFile(handle.fd, (await handle.stat()).size, pace);
}

/** What a daemon that died was writing. */
export async function removeUnfinishedSums(paths: Paths): Promise<void> {
  for (const name of await readdir(paths.sums)) if (name.endsWith(partEnd)) await rm(join(paths.sums, name), { force: true });
}

/** What is known of files that are gone goes as well. Repeatable. */
export async function collectSums({ points, checks, host: { paths } }: Machines): Promise<void> {
  const needed = new Set(points.all().flatMap((point) => [paths.point(point.id).memory, ...summedFiles(point, paths)]));
  const names = new Set([...needed].map((file) => paths.sumsOf(file)));
  for (const name of await readdir(paths.sums)) {
    const kept = join(paths.sums, name);
    if (!names.has(kept) && !name.endsWith(partEnd)) await rm(kept, { force: true });
  }
  const folders = points.all().map(({ id }) => `${paths.point(id).folder}/`);
  await checks.forgetOthers((file) => needed.has(file) || folders.some((folder) => file.startsWith(folder)));
}
