// A machine whose disk has come to lie on many layers gets their data into its own file, in the background, while it runs: reads
// then go through few files again, and layers that no point needs are removed. What is left undone is found again at the next point.
import { setTimeout as delay } from 'node:timers/promises';
import { cancelStreams, closeUnused, stream, streams, topNodes } from '../../qemu/block.ts';
import { backingFile, backingFiles } from '../../storage/chain.ts';
import type { Machines } from '../registry.ts';
import type { Machine } from '../vm.ts';
import { collectLayers } from './collect-layers.ts';
import { isWritable, varsId } from './overlays.ts';

/** QEMU asks each of them for every block that is not in its upper ones; up to here it cannot be felt. */
const mostLayers = 16;
/** So that the guest's own reads and writes go on beside it, in bytes a second. */
const streamBytesPerSecond = 64 * 2 ** 20;
const lookEveryMs = 500;

/** Begins and follows it; resolves when nothing is left to do, the machine has ended or somebody has stopped it. Repeatable. */
export async function flattenDeep(machine: Machine, machines: Machines): Promise<void> {
  const { live } = machine;
  if (!live) return;
  const disks = machine.record.disks.filter(isWritable);
  const deep = (await topNodes(live.qmp, disks)).filter(({ depth }) => depth > mostLayers);
  for (const { id, node } of deep) {
    const base = await imageBelow(disks.find((disk) => disk.id === id)?.file ?? '', machines.host.paths.layers);
    await stream(live.qmp, { job: `flatten-${id}`, node, base, bytesPerSecond: streamBytesPerSecond });
  }
  while (deep.length > 0 && machine.live === live && (await streams(live.qmp)) > 0) await delay(lookEveryMs, undefined, { ref: false });
  if (machine.live !== live) return;
  await noteBacking(machine);
  if (!live.switching) await closeUnused(live.qmp, [...disks.map(({ id }) => id), varsId]);
  if (deep.length > 0) await collectLayers(machines);
}

/** The same beside what its caller goes on with. A problem is told as an event. */
export function flattenMeanwhile(machine: Machine, machines: Machines): void {
  const { live } = machine;
  void flattenDeep(machine, machines).catch((error: unknown) => {
    if (live?.ended.aborted || machine.ending || machine.live !== live) return; // it will be found again
    machine.tell({
      type: 'event',
      machine,
      what: 'problem',
      message: `its disk lies on many layers, and they could not be made into one: ${(error as Error).message}`,
    });
  });
}

/** Whoever changes what a machine's disks lie on stops it first; what has been copied stays. */
export async function stopFlattening(machine: Machine): Promise<void> {
  if (machine.live) await cancelStreams(machine.live.qmp);
}

/** What each disk's file says that it lies on goes into the record: of that file alone, because a new one may be on top of it meanwhile. */
export async function noteBacking(machine: Machine): Promise<void> {
  const below = await backingFiles(machine.record.disks.filter(isWritable).map(({ file }) => file));
  const changed = machine.record.disks.some(({ file, backing }) => below.has(file) && below.get(file) !== backing);
  if (changed)
    await machine.update(({ disks }) => ({ disks: disks.map((disk) => ({ ...disk, backing: below.get(disk.file) ?? disk.backing })) }));
}

/** The first file below that is no layer: the image, which stays shared. Null: there is none. */
async function imageBelow(file: string, layers: string): Promise<string | null> {
  for (let at = (await backingFile(file)).backing; at !== null; at = (await backingFile(at)).backing)
    if (!at.startsWith(`${layers}/`)) return at;
  return null;
}
