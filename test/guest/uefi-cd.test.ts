// UEFI firmware boots from a CD on virtio-scsi, which a VM with a cloud-init seed has (docs/decisions/0006-cd-drives.md).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';

/** An ISO that UEFI boots: an El Torito image of FAT with a kernel, which is an EFI program, in the place that firmware looks at. */
async function bootable(folder: string, kernel: string): Promise<string> {
  const [tree, iso] = [join(folder, 'cd'), join(folder, 'cd.iso')];
  const fat = join(tree, 'efi.img');
  await mkdir(tree);
  execFileSync('truncate', ['-s', '24M', fat]);
  execFileSync('mformat', ['-i', fat, '-h', '64', '-t', '24', '-s', '32', '::']);
  for (const part of ['::/EFI', '::/EFI/BOOT']) execFileSync('mmd', ['-i', fat, part]);
  execFileSync('mcopy', ['-i', fat, kernel, '::/EFI/BOOT/BOOTX64.EFI']);
  execFileSync('genisoimage', ['-quiet', '-R', '-eltorito-alt-boot', '-e', 'efi.img', '-no-emul-boot', '-o', iso, tree]);
  return iso;
}

/** tiny's kernel. */
async function aKernel(images: string): Promise<string> {
  for (const digest of await readdir(images)) {
    const kernel = join(images, digest, 'vmlinuz');
    if ((await stat(kernel).catch(() => null))?.isFile()) return kernel;
  }
  throw new Error(`no image in ${images} has a kernel; build tiny first`);
}

test('UEFI boots from a CD on virtio-scsi', { timeout: 400_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const blank = join(host.stateDirectory, 'blank.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', blank, '16M']);
  await host.client.image.import({ path: blank, name: 'blank:1', firmware: 'uefi', cloudInit: true });
  const iso = await bootable(host.stateDirectory, await aKernel(process.env['VIV_IMAGES'] ?? host.paths.images));
  await host.client.image.import({ path: iso, name: 'cd:1', format: 'iso' });
  await host.client.vm.run({
    ...{ image: 'blank:1', name: 'one', accel: 'tcg', memoryBytes: 256 * 2 ** 20 },
    ...{ cdroms: ['cd:1'], boot: ['cdrom'], networks: ['none'] },
  });
  let serial = '';
  for await (const bytes of await host.client.vm.logs({ vm: 'one', follow: true }, { signal: AbortSignal.timeout(180_000) })) {
    serial += Buffer.from(bytes).toString('latin1');
    if (/BdsDxe: (starting|failed)[^\n]*\n/.test(serial)) break;
  }
  assert.match(serial, /BdsDxe: starting .*CD-ROM.*Scsi\(/);
  await host.client.vm.remove({ vm: 'one', force: true });
});
