// Layers that no machine and no point builds on any more are removed. Called after something that built on them has gone; where
// a record cannot be read nothing is removed, because what it builds on is not known.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backingFile, unusedFiles } from '../../storage/chain.ts';
import type { MachineRecord } from '../record.ts';
import type { Machines } from '../registry.ts';
import { collectSums } from './checksums.ts';

const filesOf = ({ disks, vars, kernel, started }: MachineRecord): string[] => [
  ...disks.flatMap(({ file, backing }) => [file, ...(backing === null ? [] : [backing])]),
  ...(vars === null ? [] : [vars]),
  // Those of a full clone are its family's own (clone.ts).
  ...(kernel === null ? [] : [kernel.file, kernel.initrd]),
  ...(started?.cdroms ?? []).map(({ file }) => file),
];

/** @returns what was removed */
export async function collectLayers(machines: Machines): Promise<string[]> {
  if (machines.unreadable > 0 || machines.points.unreadable > 0) return [];
  await collectSums(machines);
  const folder = machines.host.paths.layers;
  const all = (await readdir(folder)).map((name) => join(folder, name));
  if (all.length === 0) return [];
  const roots = [...machines.all().map(({ record }) => record), ...machines.points.all().map(({ machine }) => machine)].flatMap(filesOf);
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
