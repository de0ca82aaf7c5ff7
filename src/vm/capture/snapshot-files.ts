// The files that a snapshot consists of, and what they were like when they were written.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Paths } from '../../host/paths.ts';
import { backingFile } from '../../storage/chain.ts';
import { tpmFiles } from '../device/tpm.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';
import type { SnapshotChecksums, SnapshotRecord } from './snapshot-record.ts';

const pieceBytes = 256 * 1024;

/** Every file of its own, and the layers that it has in common with others. */
export function filesOfSnapshot(snapshot: SnapshotRecord, paths: Paths): string[] {
  const { devices, memory, tpm } = paths.snapshot(snapshot.id);
  const names = Object.keys(snapshot.checksums?.tpm ?? {});
  return [
    ...(snapshot.memory === null ? [] : [devices, memory]),
    ...names.map((name) => join(tpm, name)),
    ...Object.keys(snapshot.checksums?.layers ?? {}),
  ];
}

/** Notes what the snapshot's files are like, so that damage is noticed later. Repeatable. */
export async function recordChecksums(services: Uses<'snapshots' | 'paths'>, id: string): Promise<void> {
  const { devices } = services.paths.snapshot(id);
  const snapshot = services.snapshots.get(id);
  const layers: SnapshotChecksums['layers'] = {};
  for (const file of layersOf(snapshot.vmRecord))
    for await (const { path, bytes } of chain(file)) if (path.startsWith(services.paths.layers)) layers[path] = bytes;
  const tpm: SnapshotChecksums['tpm'] = {};
  const tpmFolder = services.paths.snapshot(id).tpm;
  for (const name of await tpmFiles(tpmFolder)) tpm[name] = await checksumOf(join(tpmFolder, name));
  const checksums = { devices: snapshot.memory === null ? null : await checksumOf(devices), layers, tpm };
  await services.snapshots.put({ ...services.snapshots.get(id), checksums });
}

export const layersOf = ({ disks, vars }: VmRecord): string[] => [
  ...disks.filter(({ kind }) => kind === 'root' || kind === 'data').map(({ file }) => file),
  ...(vars === null ? [] : [vars]),
];

/** A disk and the files below it. */
export async function* chain(file: string, before?: (path: string) => void): AsyncGenerator<{ path: string; bytes: number }> {
  const seen = new Set<string>();
  for (let path: string | null = file; path !== null && !seen.has(path); ) {
    seen.add(path);
    before?.(path);
    const { backing }: { backing: string | null } = await backingFile(path);
    yield { path, bytes: (await stat(path)).size };
    path = backing;
  }
}

/** Read in pieces: how long the state of devices is, a guest decides. */
export async function checksumOf(file: string): Promise<{ bytes: number; crc: number }> {
  let bytes = 0;
  let crc = 0;
  for await (const piece of createReadStream(file, { highWaterMark: pieceBytes })) {
    bytes += (piece as Buffer).length;
    crc = crc32(piece as Buffer, crc);
  }
  return { bytes, crc };
}
