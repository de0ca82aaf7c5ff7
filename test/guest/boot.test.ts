// What a machine boots from: a CD, an empty disk, a disk with a boot sector, in the order that was asked for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MachineOptions } from '../../src/sdk/client.ts';
import type { Machine } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { bootSector, writeBootDisk } from './boot-sector.ts';

const small: MachineOptions = { memoryBytes: 32 * 2 ** 20, networks: ['none'], accel: 'tcg' };
let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  const content = join(host.home, 'content');
  await mkdir(content);
  await writeFile(join(content, 'boot.bin'), Buffer.concat([bootSector('started from the CD'), Buffer.alloc(3 * 512)]));
  const iso = join(host.home, 'cd.iso');
  execFileSync('genisoimage', ['-quiet', '-b', 'boot.bin', '-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-o', iso, content]);
  await host.client.image.import({ path: iso, name: 'cd:1' });
  const disk = join(host.home, 'disk.raw');
  await writeBootDisk(disk, 'started from the disk');
  await host.client.image.import({ path: disk, name: 'disk:1' });
});

after(() => host[Symbol.asyncDispose]());

/** What it was started from, time after time: waits until it has said so `times` times. */
async function starts(machine: Machine, times: number): Promise<string[]> {
  let log = '';
  for await (const bytes of machine.logs({ follow: true, signal: AbortSignal.timeout(120_000) })) {
    log += bytes;
    const found = [...log.matchAll(/started from the (\w+)\r/g)].map(([, from]) => from ?? '');
    if (found.length >= times) return found;
  }
  throw new Error('the log ended');
}

/** Starts it again, because the boot order is for the next start. */
async function bootFrom(machine: Machine, boot: ('disk' | 'cdrom')[]): Promise<void> {
  assert.deepEqual((await machine.set({ boot })).atNextStart, ['boot']);
  await machine.restart({ force: true });
}

test('a machine made from an ISO starts from the CD, and with an empty disk before it as well', async () => {
  const machine = await host.client.run('cd:1', { ...small, name: 'from-cd', diskBytes: 2 ** 20, boot: ['cdrom', 'disk'] });
  assert.deepEqual(
    machine.info.disks.map(({ kind }) => kind),
    ['root', 'cdrom'],
  );
  assert.deepEqual(await starts(machine, 1), ['CD']);
  await bootFrom(machine, ['disk', 'cdrom']);
  assert.deepEqual(await starts(machine, 2), ['CD', 'CD'], 'nothing is on the disk');
  await machine.remove({ force: true });
});

test('a disk that can be started from wins when it comes first, and the CD when that does', async () => {
  const machine = await host.client.run('disk:1', { ...small, name: 'both', cdroms: ['cd:1'], boot: ['disk', 'cdrom'] });
  assert.deepEqual(await starts(machine, 1), ['disk']);
  await bootFrom(machine, ['cdrom', 'disk']);
  assert.deepEqual(await starts(machine, 2), ['disk', 'CD']);
  const { atNextStart } = await machine.set({ cdroms: [] });
  assert.deepEqual(atNextStart, ['cdroms']);
  await machine.restart({ force: true });
  assert.deepEqual(await starts(machine, 3), ['disk', 'CD', 'disk'], 'the CD has been taken out');
  await machine.remove({ force: true });
});

test('without a boot order the disk comes first, and nothing else than what is there is needed', async () => {
  const machine = await host.client.create('disk:1', { ...small, name: 'plain', cdroms: ['cd:1'], removeOnStop: true });
  assert.deepEqual(machine.info.boot, ['disk', 'cdrom']);
  const followed = starts(machine, 1); // there is no log yet
  await machine.start();
  assert.deepEqual(await followed, ['disk']);
  await machine.stop({ force: true });
});
