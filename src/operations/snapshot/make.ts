// What every snapshot that is made comes through: is there room for its memory, and after the freeze its thumbnail and its memory.
import { VivError } from '../../contract/errors.ts';
import { addThumbnail } from '../../snapshot/thumbnail.ts';
import { freeSpace } from '../../storage/space.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import { recordChecksums } from '../../vm/capture/snapshot-files.ts';
import { writeMemory } from '../../vm/capture/write-memory.ts';
import type { Vm } from '../../vm/vm.ts';
import type { TaskContext } from '../handler.ts';
import type { Services } from '../services.ts';

/** @throws no_space */
export async function checkRoom(vm: Vm, { paths }: Services): Promise<void> {
  const { freeBytes } = await freeSpace(paths.stateDirectory);
  const { memoryBytes } = vm.record.started ?? vm.record.settings;
  if (freeBytes < memoryBytes) {
    throw new VivError(
      'no_space',
      `a snapshot of ${vm.name} may take ${memoryBytes >> 20} MiB for its memory and ${paths.stateDirectory} has ${Math.floor(freeBytes / 2 ** 20)} MiB free; make room, or leave the memory out with --disks-only`,
    );
  }
}

/** What follows the capture, while the VM runs. Repeatable. */
export async function finishSnapshot(vm: Vm, id: string, context: TaskContext): Promise<void> {
  const { services, signal, progress } = context;
  const { snapshots, events, bus } = services;
  const { name } = vm;
  await recordChecksums(services, id);
  await addThumbnail(vm, services, id, signal);
  await writeMemory(services, id, signal, (done, total) =>
    progress({ message: `writing the memory of ${name}`, done, total, unit: 'bytes' }),
  );
  const { label, pausedMs } = snapshots.get(id);
  const message = `the snapshot ${label ?? id} of ${name} was taken; the guest was paused for ${pausedMs.toFixed(0)} ms`;
  events.record({ type: 'snapshot.created', subject: id, name, message });
  await bus.emit('snapshot.taken', { snapshot: id });
  flattenMeanwhile(vm, services);
}
