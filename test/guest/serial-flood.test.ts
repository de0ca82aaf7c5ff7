// A guest that writes to its serial line without a pause: its log is bounded, also while no daemon runs, and the next daemon takes no harm.
import assert from 'node:assert/strict';
import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';

const MiB = 2 ** 20;

/* biome-ignore format: one instruction a line */
const flood = [
  0xba, 0xf8, 0x03, //       mov dx, 0x3f8       data
  0xb0, 0x78, //             mov al, 'x'
  0xee, //             next: out dx, al
  0xeb, 0xfd, //             jmp next
];

test('the serial log of a guest that floods it is bounded while no daemon runs', { timeout: 600_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const disk = Buffer.alloc(MiB);
  Buffer.from(flood).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  const file = join(host.stateDirectory, 'disk.raw');
  await writeFile(file, disk);
  await host.client.image.import({ path: file, name: 'flood:1' });
  const vm = await host.client.run('flood:1', { name: 'flood', memoryBytes: 32 * MiB, networks: ['none'], accel: 'tcg' });
  const { serialLog } = host.paths.vm(vm.id);
  const size = async () => (await stat(serialLog)).size;
  await eventually('it writes', async () => (await size()) > 0);
  await host.kill();
  await truncate(serialLog, 3 * 1024 * MiB); // as after hours
  await eventually('its log is short again', async () => (await size()) <= 17 * MiB);
  const before = await size();
  await eventually('it goes on writing', async () => (await size()) !== before);
  await host.start();
  const { pid } = await host.client.vm.show({ vm: 'flood' });
  assert.notEqual(pid, null);
  const console = await host.client.vm.console({ vm: 'flood' });
  for await (const piece of console.stdout) {
    if (/x{64}/.test(String(piece))) break;
  }
  console.close();
  const log = Buffer.concat(await (await host.client.vm.logs({ vm: 'flood', tailBytes: 1000 })).toArray());
  assert.match(log.toString('latin1'), /^x{1000}$/);
  await host.client.vm.suspend({ vm: 'flood' });
  await host.client.vm.start({ vm: 'flood' });
  await host.client.vm.remove({ vm: 'flood', force: true });
});
