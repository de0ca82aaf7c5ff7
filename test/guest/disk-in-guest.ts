// A raw disk image that a running guest has as one disk more for a while: how file systems are changed that nothing outside a kernel can write.
import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { connectQmp, type QmpConnection } from '../../src/qemu/qmp.ts';
import type { Vm } from '../../src/sdk/index.ts';
import type { TestHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { out } from './in-guest.ts';

const serial = 'work';

/** Runs the script in the VM, which has slots for NICs, with the image as `$disk`. */
export async function changeInGuest(host: TestHost, vm: Vm, raw: string, script: string): Promise<void> {
  await chmod(raw, 0o666);
  // Of the host's files, a confined QEMU sees its own folder.
  const seen = join(host.paths.vm(vm.id).state, 'changed.raw');
  await rename(raw, seen);
  const exited = new Promise<null>(() => {});
  const qmp = await connectQmp(host.paths.vm(vm.id).nics, { timeoutMs: 20_000, signal: AbortSignal.timeout(60_000), exited });
  try {
    await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': serial, file: { driver: 'file', filename: seen } });
    await qmp.execute('device_add', { driver: 'virtio-blk-pci', id: serial, drive: serial, serial, bus: 'slot0' });
    const disk = await eventually('the guest has the disk', async () => {
      const found = await out(vm, `grep -lx ${serial} /sys/block/vd*/serial | cut -d/ -f4`);
      return found !== '' && `/dev/${found}`;
    });
    await out(vm, `set -e; disk=${disk}; ${script}`);
    await qmp.execute('device_del', { id: serial });
    await eventually('the guest has given it back', () => removed(qmp));
  } finally {
    qmp.close();
    await rename(seen, raw);
  }
}

/** It is refused for as long as the device is there. */
async function removed(qmp: QmpConnection): Promise<true> {
  await qmp.execute('blockdev-del', { 'node-name': serial });
  return true;
}
