// What a VM boots from: a CD, an empty disk, a disk with a boot sector, in the order that was asked for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CreateOptions } from '../../src/sdk/client.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { bootSector, writeBootDisk } from './boot-sector.ts';

const small: CreateOptions = { memoryBytes: 32 * 2 ** 20, networks: ['none'], accel: 'tcg' };
let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  const content = join(host.stateDirectory, 'content');
  await mkdir(content);
  await writeFile(join(content, 'boot.bin'), Buffer.concat([bootSector('started from the CD'), Buffer.alloc(3 * 512)]));
  const iso = join(host.stateDirectory, 'cd.iso');
  execFileSync('genisoimage', ['-quiet', '-b', 'boot.bin', '-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-o', iso, content]);
  await host.client.image.import({ path: iso, name: 'cd:1' });
  const disk = join(host.stateDirectory, 'disk.raw');
  await writeBootDisk(disk, 'started from the disk');
  await host.client.image.import({ path: disk, name: 'disk:1' });
});

after(() => host[Symbol.asyncDispose]());

/** What it was started from, time after time: waits until it has said so `times` times. */
async function starts(vm: Vm, times: number): Promise<string[]> {
  let log = '';
  for await (const bytes of vm.logs({ follow: true, signal: AbortSignal.timeout(120_000) })) {
    log += bytes;
    const found = [...log.matchAll(/started from the (\w+)\r/g)].map(([, from]) => from ?? '');
    if (found.length >= times) return found;
  }
  throw new Error('the log ended');
}

/** Starts it again, because the boot order is for the next start. */
async function bootFrom(vm: Vm, boot: ('disk' | 'cdrom')[]): Promise<void> {
  assert.deepEqual((await vm.set({ boot })).atNextStart, ['boot']);
  await vm.restart({ force: true });
}

test('a VM made from an ISO starts from the CD, and with an empty disk before it as well', async () => {
  const vm = await host.client.run('cd:1', { ...small, name: 'from-cd', diskBytes: 2 ** 20, boot: ['cdrom', 'disk'] });
  assert.deepEqual(
    vm.info.disks.map(({ kind }) => kind),
    ['root', 'cdrom'],
  );
  assert.deepEqual(await starts(vm, 1), ['CD']);
  await bootFrom(vm, ['disk', 'cdrom']);
  assert.deepEqual(await starts(vm, 2), ['CD', 'CD'], 'nothing is on the disk');
  await vm.remove({ force: true });
});

test('a disk that can be started from wins when it comes first, and the CD when that does', async () => {
  const vm = await host.client.run('disk:1', { ...small, name: 'both', cdroms: ['cd:1'], boot: ['disk', 'cdrom'] });
  assert.deepEqual(await starts(vm, 1), ['disk']);
  await bootFrom(vm, ['cdrom', 'disk']);
  assert.deepEqual(await starts(vm, 2), ['disk', 'CD']);
  const { atNextStart } = await vm.set({ cdroms: [] });
  assert.deepEqual(atNextStart, ['cdroms']);
  await vm.restart({ force: true });
  assert.deepEqual(await starts(vm, 3), ['disk', 'CD', 'disk'], 'the CD has been taken out');
  await vm.remove({ force: true });
});

test('without a boot order the disk is first, and no other device is required', async () => {
  const vm = await host.client.create('disk:1', { ...small, name: 'plain', cdroms: ['cd:1'], removeOnStop: true });
  assert.deepEqual(vm.info.boot, ['disk', 'cdrom']);
  const followed = starts(vm, 1); // there is no log yet
  await vm.start();
  assert.deepEqual(await followed, ['disk']);
  await vm.stop({ force: true });
});
