// A point's memory goes from the machine's process, where it was frozen, into the point's own file. The machine goes on meanwhile.
import { closeSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { makeDurable } from '../../host/durable.ts';
import { memoryBytesOf } from '../../qemu/args/machine.ts';
import { BlockSums } from '../../storage/block-checksums.ts';
import { flatten } from '../../storage/flatten.ts';
import { openLayers } from '../memory.ts';
import type { Machines } from '../registry.ts';
import { writeSums } from './checksums.ts';
import { shareWithFamily } from './overlays.ts';

/** Repeatable as long as the process lives. @throws not_found when it has ended before; no_space */
export async function writeMemory(
  machines: Machines,
  id: string,
  signal: AbortSignal,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<void> {
  const point = machines.points.get(id);
  if (point.memory?.in !== 'process') return;
  const file = machines.host.paths.point(id).memory;
  const bytes = memoryBytesOf((point.machine.started ?? point.machine.settings).memoryBytes);
  const layers = await openLayers(point.memory);
  // Of what is meant to be written, so that what goes wrong on its way to the disk is noticed too.
  const sums = new BlockSums();
  try {
    const to = await open(file, 'w+', 0o600);
    try {
      await flatten(layers, to.fd, bytes, { signal, onProgress, onData: (data, at) => sums.add(data, at) });
      await to.datasync();
    } finally {
      await to.close();
    }
  } finally {
    for (const fd of layers) closeSync(fd);
  }
  // With the machine's process gone, these files are all there is of it.
  await makeDurable(machines.host.paths.point(id).devices);
  await writeSums(machines.host.paths, file, sums.end(bytes));
  await shareWithFamily(file, point.machine);
  const { blocks } = await stat(file);
  await machines.points.put({ ...machines.points.get(id), memory: { in: 'file' }, memoryBytes: blocks * 512 });
}
