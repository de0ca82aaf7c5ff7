// A guest that writes without end on a host whose disk is full, with real QEMU: it is stopped with the reason, and goes
// on when there is room, also after a resume that came too early. Needs root, for a file system of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';

/** A boot sector that writes the BIOS, 64 sectors at a time, from sector 2048 on by INT 13h, function 43h. */
const writer = Buffer.from('31c08ed88ed0bc007cb80043b280be1b7ccd13668306237c40ebee10004000000000f80008000000000000', 'hex');

test('a full disk stops a guest until there is room', { timeout: 400_000, skip: process.getuid?.() !== 0 }, async () => {
  const parent = await mkdtemp(join(tmpdir(), 'viv-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'tmpfs', parent]);
  try {
    await using host = await testHost({ qemu: 'real', parent });
    await host.start();
    const raw = join(host.stateDirectory, 'writer.raw');
    const sector = Buffer.alloc(512);
    writer.copy(sector);
    sector.writeUInt16LE(0xaa55, 510);
    await writeFile(raw, sector);
    execFileSync('truncate', ['-s', '256M', raw]);
    await host.client.image.import({ path: raw, name: 'writer:1', format: 'raw' });
    const { id } = await host.client.vm.run({
      image: 'writer:1',
      name: 'one',
      accel: 'tcg',
      memoryBytes: 64 * 2 ** 20,
      networks: ['none'],
    });
    // Shown at once. Whether it can be recorded, and told as an event, depends on the last bytes.
    await eventually('it is stopped', async () => {
      const { state, stateReason } = await host.client.vm.show({ vm: 'one' });
      assert.deepEqual([state, stateReason?.code], ['paused', 'host_disk_full']);
    });

    // Nothing can be recorded now, so the answer comes when there is room; the guest is stopped again at once.
    const resumed = host.client.vm.resume({ vm: 'one' });
    resumed.catch(() => {});
    execFileSync('mount', ['-o', 'remount,size=512m', parent]);
    await resumed;
    const disk = join(host.paths.vm(id).state, 'root.qcow2');
    for await (const _ of watch(disk, { signal: AbortSignal.timeout(120_000) })) if ((await stat(disk)).size > 32 * 2 ** 20) break;
    assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
    await host.client.vm.pause({ vm: 'one' });
    assert.equal((await host.client.vm.show({ vm: 'one' })).stateReason, null, 'a pause that was asked for has no reason');
    await host.client.vm.remove({ vm: 'one', force: true });
  } finally {
    execFileSync('umount', [parent]);
    await rm(parent, { recursive: true, force: true });
  }
});
