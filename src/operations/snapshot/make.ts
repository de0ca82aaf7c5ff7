// What every point that is made comes through: is there room for its memory, and after the freeze its thumbnail and its memory.
import { VivError } from '../../contract/errors.ts';
import { recordSums } from '../../snapshot/check-files.ts';
import { addThumbnail } from '../../snapshot/thumbnail.ts';
import { freeSpace } from '../../storage/space.ts';
import type { TaskContext } from '../../task/handler.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import { writeMemory } from '../../vm/capture/write-memory.ts';
import type { Machine } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

/** @throws no_space */
export async function checkRoom(machine: Machine, { paths }: Services): Promise<void> {
  const { freeBytes } = await freeSpace(paths.home);
  const { memoryBytes } = machine.record.started ?? machine.record.settings;
  if (freeBytes < memoryBytes) {
    throw new VivError(
      'no_space',
      `a point of ${machine.name} may take ${memoryBytes >> 20} MiB for its memory and ${paths.home} has ${Math.floor(freeBytes / 2 ** 20)} MiB free; make room, or leave the memory out with --disks-only`,
    );
  }
}

/** What comes after the freeze, while the machine goes on. Repeatable. */
export async function finishPoint(machine: Machine, id: string, context: TaskContext): Promise<void> {
  const { services, signal, progress } = context;
  const { machines, events } = services;
  const { name } = machine;
  await recordSums(machines, id);
  await addThumbnail(machine, machines, id, signal);
  await writeMemory(machines, id, signal, (done, total) =>
    progress({ message: `writing the memory of ${name}`, done, total, unit: 'bytes' }),
  );
  const { label, pausedMs } = machines.points.get(id);
  const message = `${name} has the point ${label ?? id}; it stood still for ${pausedMs.toFixed(0)} ms`;
  events.record({ type: 'snapshot.created', subject: id, name, message });
  machines.host.pointMade();
  flattenMeanwhile(machine, machines);
}
