// A snapshot's memory is written from the VM's process, where it was captured, into the snapshot's own file while the VM runs.
import { closeSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { makeDurable } from '../../host/file/durable.ts';
import { memoryBytesOf } from '../../qemu/args/machine.ts';
import { BlockChecksums } from '../../storage/block-checksums.ts';
import { flatten } from '../../storage/flatten.ts';
import { seal } from '../files.ts';
import { openLayers } from '../memory.ts';
import type { Uses } from '../services.ts';
import { writeChecksums } from './checksums.ts';

/** Repeatable as long as the process lives. @throws not_found when it has ended before; no_space */
export async function writeMemory(
  services: Uses<'snapshots' | 'paths'>,
  id: string,
  signal: AbortSignal,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<void> {
  const snapshot = services.snapshots.get(id);
  if (snapshot.memory?.in !== 'process') return;
  const file = services.paths.snapshot(id).memory;
  const bytes = memoryBytesOf((snapshot.vmRecord.started ?? snapshot.vmRecord.settings).memoryBytes);
  const layers = await openLayers(snapshot.memory);
  // Of the data before it is written, so that errors on its way to the disk are noticed too.
  const checksums = new BlockChecksums();
  try {
    const to = await open(file, 'w+', 0o600);
    try {
      await flatten(layers, to.fd, bytes, { signal, onProgress, onData: (data, at) => checksums.add(data, at) });
      await to.datasync();
    } finally {
      await to.close();
    }
  } finally {
    for (const fd of layers) closeSync(fd);
  }
  // Once the VM's process has ended, these files are all there is of its memory.
  await makeDurable(services.paths.snapshot(id).devices);
  await writeChecksums(services.paths, file, checksums.end(bytes));
  await seal(file, snapshot.vmRecord);
  const { blocks } = await stat(file);
  await services.snapshots.put({ ...services.snapshots.get(id), memory: { in: 'file' }, memoryBytes: blocks * 512 });
}
