// Growing a VM's root disk, whether it runs or not.
import { blockResize } from '../../qemu/block.ts';
import { resizeDisk } from '../../storage/disk.ts';
import type { Vm } from '../vm.ts';

/** Repeatable; a disk that is large enough already is left alone. The guest sees the new size at once. */
export async function growRootDisk(vm: Vm, sizeBytes: number): Promise<void> {
  const root = vm.record.disks.find((disk) => disk.id === 'root');
  if (!root || root.sizeBytes >= sizeBytes) return;
  if (vm.live) await blockResize(vm.live.qmp, root, sizeBytes);
  else await resizeDisk(root.file, sizeBytes);
  await vm.update(({ disks }) => ({ disks: disks.map((disk) => (disk.id === 'root' ? { ...disk, sizeBytes } : disk)) }));
}
