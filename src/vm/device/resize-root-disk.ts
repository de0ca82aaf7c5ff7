// Growing a machine's root disk, whether it runs or not.
import { blockResize } from '../../qemu/block.ts';
import { resizeDisk } from '../../storage/disk.ts';
import type { Machine } from '../vm.ts';

/** Repeatable; a disk that is large enough already is left alone. The guest sees the new size at once. */
export async function growRootDisk(machine: Machine, sizeBytes: number): Promise<void> {
  const root = machine.record.disks.find((disk) => disk.id === 'root');
  if (!root || root.sizeBytes >= sizeBytes) return;
  if (machine.live) await blockResize(machine.live.qmp, root, sizeBytes);
  else await resizeDisk(root.file, sizeBytes);
  await machine.update(({ disks }) => ({ disks: disks.map((disk) => (disk.id === 'root' ? { ...disk, sizeBytes } : disk)) }));
}
