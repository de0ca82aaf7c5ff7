// A UEFI VM by the real daemon and real QEMU: it has variables of its own, its firmware runs, and the next start
// leaves them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { findFirmware } from '../../src/qemu/firmware-files.ts';
import { diskInfo } from '../../src/storage/disk.ts';
import { testHost } from '../daemon/test-host.ts';

test('a UEFI VM starts its firmware with variables of its own, and keeps them', { timeout: 400_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const blank = join(host.stateDirectory, 'blank.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', blank, '16M']);
  await host.client.image.import({ path: blank, name: 'blank:1', firmware: 'uefi' });
  const { id, firmware } = await host.client.vm.run({ image: 'blank:1', name: 'one', accel: 'tcg', memoryBytes: 256 * 2 ** 20 });
  assert.equal(firmware, 'uefi');
  const { serialLog } = host.paths.vm(id);
  const { vars: template } = await findFirmware('x86_64');

  const deadline = AbortSignal.timeout(180_000);
  let serial = '';
  for await (const bytes of await host.client.vm.logs({ vm: 'one', follow: true }, { signal: deadline })) {
    serial += Buffer.from(bytes).toString('latin1');
    if (serial.includes('BdsDxe')) break;
  }
  assert.match(serial, /BdsDxe/, `${serialLog} holds the firmware's words`);

  // Flash lies below the top of memory: variables that were larger than they began would be somewhere else.
  await host.client.snapshot.create({ vm: 'one', label: 'booted' });
  const [child] = await host.client.vm.fork({ vm: 'one' });
  assert.equal(child?.state, 'running', 'it goes on from the same flash');
  await host.client.vm.remove({ vm: child?.id ?? '', force: true });
  await host.client.snapshot.restore({ vm: 'one', snapshot: 'booted' });
  const overlays = (await readdir(host.paths.vm(id).state)).filter((name) => name.startsWith('firmware-vars'));
  assert.equal((await diskInfo(join(host.paths.vm(id).state, overlays[0] ?? ''), 'qcow2')).virtualBytes, statSync(template).size);
  await host.client.vm.remove({ vm: 'one', force: true });

  const { id: two } = await host.client.vm.run({ image: 'blank:1', name: 'one', accel: 'tcg', memoryBytes: 256 * 2 ** 20 });
  const { firmwareVars } = host.paths.vm(two);
  await host.client.vm.stop({ vm: 'one', force: true });
  const { uid, mode, ino } = await stat(firmwareVars);
  assert.equal(mode & 0o777, 0o600);
  if (process.getuid?.() === 0) assert.notEqual(uid, 0, 'they belong to the VM’s own user');
  await host.client.vm.start({ vm: 'one' });
  await host.client.vm.pause({ vm: 'one' });
  await host.client.vm.stop({ vm: 'one', force: true });
  assert.equal((await stat(firmwareVars)).ino, ino, 'the next start leaves the file that is there');

  await rm(firmwareVars);
  await host.client.vm.start({ vm: 'one' });
  assert.ok((await stat(firmwareVars)).isFile(), 'lost variables are made anew');
  await host.client.vm.remove({ vm: 'one', force: true });
  await assert.rejects(stat(firmwareVars), { code: 'ENOENT' });
});
