// Checksums of a snapshot's large files: the memory's are taken while it is written, those of disk layers in the background once they no
// longer change (snapshot/checksum/scrub.ts). Each has a file of its own, so that damage of one affects no other snapshot.
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { makeDurable } from '../../host/file/durable.ts';
import { newId } from '../../host/id.ts';
import type { Paths } from '../../host/paths.ts';
import { type Checksums, checksumFile, decodeChecksums, encodeChecksums, firstDifference } from '../../storage/block-checksums.ts';
import type { Uses } from '../services.ts';
import type { SnapshotRecord } from './snapshot-record.ts';

/** What is read in pieces: waits where that is faster than it is meant to be, and throws the reason to stop. */
export type Pace = (bytes: number) => Promise<void>;

const partEnd = '.part';

/** Files of a snapshot that have checksums, or are going to. */
export function checksummedFiles({ id, memory, checksums }: SnapshotRecord, paths: Paths): string[] {
  return [...(memory?.in === 'file' ? [paths.snapshot(id).memory] : []), ...Object.keys(checksums?.layers ?? {})];
}

/** Repeatable. @throws no_space */
export async function writeChecksums(paths: Paths, file: string, checksums: Checksums): Promise<void> {
  const kept = paths.checksumsOf(file);
  const part = `${kept}.${newId()}${partEnd}`;
  try {
    const handle = await open(part, 'w', 0o600);
    try {
      await handle.writeFile(encodeChecksums(checksums));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(part, kept);
  } catch (cause) {
    if (!['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
    throw new VivError('no_space', `the checksums of ${file} cannot be kept, because the host’s disk is full; make room and try again`, {
      cause,
    });
  } finally {
    await rm(part, { force: true });
  }
  await makeDurable(paths.checksums);
}

/** For another name of the same file. Repeatable. */
export async function copyChecksums(paths: Paths, from: string, to: string): Promise<void> {
  const checksums = await readChecksums(paths, from);
  if (checksums) await writeChecksums(paths, to, checksums);
}

/** Null: it has none, or they are damaged. */
export async function readChecksums(paths: Paths, file: string): Promise<Checksums | null> {
  const kept = await readFile(paths.checksumsOf(file)).catch(() => null);
  return kept && decodeChecksums(kept);
}

/** Of a file that no longer changes, as it is on the disk. */
export async function takeChecksums(paths: Paths, file: string, pace: Pace): Promise<void> {
  await using handle = await open(file, 'r');
  await handle.sync();
  await writeChecksums(paths, file, await checksumsOf(handle, pace));
}

/** @returns null: it is as it was written; else what is wrong with it */
export async function compareChecksums(file: string, desired: Checksums, pace: Pace): Promise<string | null> {
  await using handle = await open(file, 'r');
  const found = await checksumsOf(handle, pace);
  if (found.bytes !== desired.bytes) return `has ${found.bytes} bytes instead of ${desired.bytes}`;
  const at = firstDifference(found, desired);
  return at === null ? null : `is not as it was written (the first change is in the MiB at byte ${at})`;
}

async function checksumsOf(handle: FileHandle, pace: Pace): Promise<Checksums> {
  return checksumFile(handle.fd, (await handle.stat()).size, pace);
}

/** Removes what a daemon that died was writing. */
export async function removeUnfinishedChecksums(paths: Paths): Promise<void> {
  for (const name of await readdir(paths.checksums)) if (name.endsWith(partEnd)) await rm(join(paths.checksums, name), { force: true });
}

/** Removes the checksums of files that no snapshot consists of. Repeatable. */
export async function collectChecksums({ snapshots, checks, paths }: Uses<'snapshots' | 'checks' | 'paths'>): Promise<void> {
  const needed = new Set(snapshots.all().flatMap((snapshot) => [paths.snapshot(snapshot.id).memory, ...checksummedFiles(snapshot, paths)]));
  const names = new Set([...needed].map((file) => paths.checksumsOf(file)));
  for (const name of await readdir(paths.checksums)) {
    const kept = join(paths.checksums, name);
    if (!names.has(kept) && !name.endsWith(partEnd)) await rm(kept, { force: true });
  }
  const folders = snapshots.all().map(({ id }) => `${paths.snapshot(id).folder}/`);
  await checks.forgetOthers((file) => needed.has(file) || folders.some((folder) => file.startsWith(folder)));
}
