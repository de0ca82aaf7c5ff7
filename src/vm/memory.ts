// What a VM's QEMU gets as memory: an empty layer of its own, or the layers of the snapshot that it resumes from.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { VivError } from '../contract/errors.ts';
import { createMemoryFile } from '../host/file/memory-file.ts';
import { memoryLibrary } from '../host/guest-asset.ts';
import type { Paths } from '../host/paths.ts';
import { isProcess } from '../host/process/start-ticks.ts';
import { memoryBytesOf } from '../qemu/args/machine.ts';
import type { MemoryLayers } from '../qemu/memory.ts';
import type { SnapshotMemory, SnapshotRecord } from './capture/snapshot-record.ts';

/** The descriptors are the daemon's; `close` closes them once the process has been started. */
export interface OpenMemory {
  readonly layers: MemoryLayers | null;
  close(): void;
}

/** @throws unsupported where the memory of a snapshot cannot be mapped on this host; corrupt, not_found where it is gone */
export async function openMemory(
  { bytes, hugepages, ksm }: { bytes: number; hugepages: boolean; ksm: boolean },
  socket: string,
  snapshot: SnapshotRecord | null,
  paths: Paths,
): Promise<OpenMemory> {
  // They are allocated whole, and a layer takes what was written alone.
  if (hugepages && snapshot === null) return { layers: null, close: () => {} };
  const library = await memoryLibrary();
  if (library === null) {
    if (snapshot === null) return { layers: null, close: () => {} };
    throw new VivError(
      'unsupported',
      'this host’s QEMU cannot map memory as layers, because vivarium-qemu-preload.so has not been built for it',
    );
  }
  const opened: number[] = [];
  const keep = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  const close = () => opened.splice(0).forEach((fd) => void closeSync(fd));
  try {
    const layers: MemoryLayers = {
      library: keep(openSync(library, 'r')),
      socket,
      layers:
        snapshot === null
          ? [keep(createMemoryFile('vivarium-memory', memoryBytesOf(bytes)))]
          : await layersOf(snapshot, bytes, paths, keep),
      // The kernel merges private pages only, so mapping it as its own and shared would merge nothing.
      own: snapshot === null && !ksm,
    };
    return { layers, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function layersOf(snapshot: SnapshotRecord, bytes: number, paths: Paths, keep: (fd: number) => number): Promise<number[]> {
  if (snapshot.memory === null) throw new VivError('unsupported', 'the snapshot has no memory to resume from');
  if (snapshot.memory.in === 'process') return (await openLayers(snapshot.memory)).map(keep);
  const { memory } = paths.snapshot(snapshot.id);
  try {
    // The bottom is what QEMU itself opens, for writing too: so it is an empty one, and the file stays out of its reach.
    const layer = keep(openSync(memory, 'r'));
    // What lies beyond its end could be mapped, and would end QEMU at the first touch.
    const { size } = fstatSync(layer);
    if (size !== memoryBytesOf(bytes)) throw new Error(`it has ${size} bytes instead of ${memoryBytesOf(bytes)}`);
    return [keep(createMemoryFile('vivarium-memory', memoryBytesOf(bytes))), layer];
  } catch (cause) {
    throw new VivError('corrupt', `the snapshot’s memory ${memory} cannot be used: ${(cause as Error).message}`, { cause });
  }
}

/** A living process's layers. @throws not_found when it has ended */
export async function openLayers({ pid, startTicks, layers }: Extract<SnapshotMemory, { in: 'process' }>): Promise<number[]> {
  const opened: number[] = [];
  try {
    for (const fd of layers) opened.push(openSync(`/proc/${pid}/fd/${fd}`, 'r'));
    if (!(await isProcess(pid, startTicks))) throw new Error('it has ended');
    return opened;
  } catch (cause) {
    for (const fd of opened) closeSync(fd);
    throw new VivError('not_found', 'the VM whose memory was frozen has ended, and the memory with it', { cause });
  }
}
