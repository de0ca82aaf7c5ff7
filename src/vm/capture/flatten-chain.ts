// A long backing chain is shortened in the background while the VM runs: the data of its layers is copied into the VM's own file, so that
// reads go through few files again, and unused layers are removed. What remains is found at the next snapshot.
import { setTimeout as delay } from 'node:timers/promises';
import { cancelStreams, closeUnused, overlayNodes, stream, streams } from '../../qemu/block.ts';
import { backingFile, backingFiles } from '../../storage/chain.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { collectLayers } from './collect-layers.ts';
import { isWritable, varsId } from './overlays.ts';

/** QEMU reads each block through the chain; up to this length the guest does not notice. */
const mostLayers = 16;
/** Leaves bandwidth for the guest, in bytes per second. */
const streamBytesPerSecond = 64 * 2 ** 20;
const lookEveryMs = 500;

/** Resolves when nothing is left to do, the VM has ended or the job was stopped. Repeatable. */
export async function flattenDeep(vm: Vm, services: Uses<'vms' | 'snapshots' | 'checks' | 'paths'>): Promise<void> {
  const { live } = vm;
  if (!live) return;
  const disks = vm.record.disks.filter(isWritable);
  const deep = (await overlayNodes(live.qmp, disks)).filter(({ depth }) => depth > mostLayers);
  for (const { id, node } of deep) {
    const base = await imageBelow(disks.find((disk) => disk.id === id)?.file ?? '', services.paths.layers);
    await stream(live.qmp, { job: `flatten-${id}`, node, base, bytesPerSecond: streamBytesPerSecond });
  }
  while (deep.length > 0 && vm.live === live && (await streams(live.qmp)) > 0) await delay(lookEveryMs, undefined, { ref: false });
  if (vm.live !== live) return;
  await noteBacking(vm);
  if (!live.isSwitching) await closeUnused(live.qmp, [...disks.map(({ id }) => id), varsId]);
  if (deep.length > 0) await collectLayers(services);
}

/** The same in the background. A problem is reported as an event. */
export function flattenMeanwhile(vm: Vm, services: Uses<'vms' | 'snapshots' | 'checks' | 'paths'>): void {
  const { live } = vm;
  void flattenDeep(vm, services).catch((error: unknown) => {
    if (live?.ended.aborted || vm.runtime.isEndExpected || vm.live !== live) return; // it will be found again
    vm.report('vm.problem', `its disk has a long backing chain that could not be shortened: ${(error as Error).message}`);
  });
}

/** Stopped before the backing files of a VM change; what has been copied stays. */
export async function stopFlattening(vm: Vm): Promise<void> {
  if (vm.live) await cancelStreams(vm.live.qmp);
}

/** Records each disk's backing file as the file itself names it; a newer overlay is left alone. */
export async function noteBacking(vm: Vm): Promise<void> {
  const below = await backingFiles(vm.record.disks.filter(isWritable).map(({ file }) => file));
  const changed = vm.record.disks.some(({ file, backing }) => below.has(file) && below.get(file) !== backing);
  if (changed)
    await vm.update(({ disks }) => ({ disks: disks.map((disk) => ({ ...disk, backing: below.get(disk.file) ?? disk.backing })) }));
}

/** The first backing file that is not a layer: the image, which stays shared. Null: there is none. */
async function imageBelow(file: string, layers: string): Promise<string | null> {
  for (let at = (await backingFile(file)).backing; at !== null; at = (await backingFile(at)).backing)
    if (!at.startsWith(`${layers}/`)) return at;
  return null;
}
