// Removes layers that back no VM and no snapshot. Called after something that they backed was removed; while a record cannot be read
// nothing is removed, because its backing files are not known.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backingFile, unusedFiles } from '../../storage/chain.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';
import { collectChecksums } from './checksums.ts';

const filesOf = ({ disks, vars, kernel, started }: VmRecord): string[] => [
  ...disks.flatMap(({ file, backing }) => [file, ...(backing === null ? [] : [backing])]),
  ...(vars === null ? [] : [vars]),
  // Those of a full clone belong to it and its forks (fork/full-clone.ts).
  ...(kernel === null ? [] : [kernel.file, kernel.initrd]),
  ...(started?.cdroms ?? []).map(({ file }) => file),
];

/** @returns what was removed */
export async function collectLayers(services: Uses<'vms' | 'snapshots' | 'checks' | 'paths'>): Promise<string[]> {
  if (services.vms.unreadable().length > 0 || services.snapshots.unreadable().length > 0) return [];
  await collectChecksums(services);
  const folder = services.paths.layers;
  const all = (await readdir(folder)).map((name) => join(folder, name));
  if (all.length === 0) return [];
  const roots = [...services.vms.all().map(({ record }) => record), ...services.snapshots.all().map(({ vmRecord: vm }) => vm)].flatMap(
    filesOf,
  );
  const below = new Map<string, string | null>();
  for (let files = [...new Set([...all, ...roots])]; files.length > 0; ) {
    const found = await Promise.all(
      files.map(
        async (file) =>
          [
            file,
            await backingFile(file).then(
              ({ backing }) => backing,
              () => null,
            ),
          ] as const,
      ),
    );
    for (const [file, backing] of found) below.set(file, backing);
    files = [...new Set(found.flatMap(([, backing]) => (backing === null || below.has(backing) ? [] : [backing])))];
  }
  const unused = unusedFiles(all, roots, (file) => below.get(file) ?? null);
  for (const file of unused) await rm(file, { force: true });
  return unused;
}
