// A full clone shares nothing with what it was made from: VM, snapshots and image can go, and it stays whole.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { VivError } from '../../src/contract/errors.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

const run = promisify(execFile);
const MiB = 2 ** 20;
const memoryBytes = 64 * MiB;

let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'fake' });
  await host.start();
});

after(() => host[Symbol.asyncDispose]());

const io = (file: string, command: string) => run('qemu-io', ['-f', 'qcow2', '-c', command, file]);
const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it was not refused'),
    (error: VivError) => error,
  );

/** The files of a VM's folder that hold a disk. */
const disksOf = async (id: string) => (await readdir(host.paths.vm(id).state)).filter((name) => name.endsWith('.qcow2')).sort();

test('it outlives its origin, the snapshots and the image, and is as sparse as what it was copied from', async () => {
  const { client, paths } = host;
  const one = await client.vm.create({ image: 'tiny', name: 'one', memoryBytes, diskBytes: 64 * MiB });
  await io(paths.vm(one.id).rootDisk, 'write -q -P 7 32M 1M');
  await client.snapshot.create({ vm: 'one', label: 'cold' });
  const [top = ''] = await disksOf(one.id);
  await io(join(paths.vm(one.id).state, top), 'write -q -P 8 40M 1M');

  const [now] = await client.vm.fork({ vm: 'one', full: true, name: 'now' });
  const [then] = await client.vm.fork({ vm: 'one', snapshot: 'cold', full: true, name: 'then' });
  for (const clone of [now, then]) {
    assert.ok(clone);
    assert.deepEqual([clone.state, clone.imageDigest, clone.image, clone.forkedFrom], ['stopped', null, 'tiny', 'one']);
    assert.notEqual(clone.nics[0]?.mac, one.nics[0]?.mac);
    const { disks } = await client.vm.show({ vm: clone.id });
    assert.deepEqual(
      disks.map(({ id, backing, sizeBytes }) => ({ id, backing, sizeBytes })),
      [{ id: 'root', backing: null, sizeBytes: 64 * MiB }],
    );
    const { blocks } = await stat(paths.vm(clone.id).rootDisk);
    assert.ok(blocks * 512 < 4 * MiB, `what nobody has written takes no room (${blocks * 512} bytes)`);
  }
  const shown = await client.vm.show({ vm: 'one' });
  assert.ok(shown.disks[0]?.backing?.startsWith(paths.layers), 'the origin lies on its snapshot');

  const inUse = async () => (await client.image.show({ image: 'tiny' })).usedBy;
  assert.deepEqual((await inUse()).sort(), ['one', 'one@cold']);
  await client.vm.remove({ vm: 'one' });
  assert.deepEqual(await inUse(), []);
  await client.image.remove({ image: 'tiny' });

  for (const [clone, later] of [
    [now, 8],
    [then, 0],
  ] as const) {
    const disk = paths.vm(clone?.id ?? '').rootDisk;
    await io(disk, 'read -q -P 7 32M 1M');
    await io(disk, `read -q -P ${later} 40M 1M`);
    await run('qemu-img', ['check', '-q', disk]);
    await client.vm.start({ vm: clone?.id ?? '' });
  }
  const children = await client.vm.fork({ vm: 'then', count: 2, name: 'child-{}' });
  await client.vm.remove({ vm: 'then', force: true });
  await client.vm.restart({ vm: 'child-1', force: true });
  assert.equal((await client.vm.show({ vm: 'child-1' })).state, 'running', 'forks of a clone have its kernel too');
  for (const vm of ['now', ...children.map(({ name }) => name)]) await client.vm.remove({ vm, force: true });
  assert.deepEqual(await readdir(paths.layers), []);
  assert.deepEqual(await readdir(paths.vms), []);
});

test('UEFI variables and CDs come along', async () => {
  const { client, paths } = host;
  const cd = join(host.stateDirectory, 'cd.iso');
  await run('genisoimage', ['-quiet', '-o', cd, '-V', 'CD', join(host.stateDirectory, 'fake-qemu.mjs')]);
  await client.image.import({ path: cd, name: 'cd:1' });
  const one = await client.vm.create({ image: 'disk', name: 'one', memoryBytes, firmware: 'uefi', cdroms: ['cd:1'] });
  await io(paths.vm(one.id).firmwareVars, 'write -q -P 9 0 64k');
  const [clone] = await client.vm.fork({ vm: 'one', full: true, name: 'clone' });
  await client.vm.remove({ vm: 'one' });
  await client.image.remove({ image: 'cd:1' });
  await client.image.remove({ image: 'disk' });
  const { firmwareVars, seed } = paths.vm(clone?.id ?? '');
  await io(firmwareVars, 'read -q -P 9 0 64k');
  assert.ok((await stat(seed)).size > 0, 'it has a seed of its own');
  await client.vm.start({ vm: 'clone' });
  await client.snapshot.create({ vm: 'clone', label: 'a' });
  await client.vm.set({ vm: 'clone', cdroms: [] });
  assert.equal((await readdir(paths.layers)).filter((name) => name.endsWith('.iso')).length, 1, 'the CD stays for the snapshot');
  await client.vm.remove({ vm: 'clone', force: true });
  assert.deepEqual(await readdir(paths.layers), []);
});

test('what runs and what has memory is refused, and so is what there is no room for', async () => {
  await using other = await testHost({ qemu: 'fake' });
  await other.start();
  const { client, paths } = other;
  const one = await client.vm.create({ image: 'disk', name: 'one', memoryBytes, diskBytes: 2 ** 40 });
  await client.vm.start({ vm: 'one' });
  const running = await refused(client.vm.fork({ vm: 'one', full: true }));
  assert.equal(running.code, 'wrong_state');
  assert.match(
    running.message,
    /it is running; stop it first, or take a snapshot of its disks with: viv snapshot create one LABEL --disks-only/,
  );
  await client.snapshot.create({ vm: 'one', label: 'hot' });
  assert.match((await refused(client.vm.fork({ vm: 'one', snapshot: 'hot', full: true }))).message, /the snapshot has memory/);
  await client.snapshot.create({ vm: 'one', label: 'cold', disksOnly: true });
  const [clone] = await client.vm.fork({ vm: 'one', snapshot: 'cold', full: true });
  assert.equal(clone?.state, 'stopped', 'the origin runs on');
  await client.vm.stop({ vm: 'one', force: true });

  const { bavail, bsize } = statfsSync(other.stateDirectory);
  const [top = ''] = (await readdir(paths.vm(one.id).state)).filter((name) => name.endsWith('.qcow2'));
  await io(join(paths.vm(one.id).state, top), `write -q -P 7 0 ${Math.ceil((bavail * bsize) / 900 / MiB)}M`);
  const before = (await client.vm.list()).length;
  const { code, message } = await refused(client.vm.fork({ vm: 'one', full: true, count: 1000 }));
  assert.equal(code, 'no_space');
  assert.match(message, /not enough space for 1000 full clones of one/);
  assert.equal((await client.vm.list()).length, before);
});

test('a copy reports its bytes, and a cancelled one leaves nothing', async () => {
  await using other = await testHost({ qemu: 'fake' });
  await other.start();
  const { client, paths } = other;
  const one = await client.vm.create({ image: 'disk', name: 'one', memoryBytes, diskBytes: 1024 * MiB });
  await io(paths.vm(one.id).rootDisk, 'write -q -P 7 16M 192M');
  // A copy may be done before it is cancelled where this process stands still meanwhile: then another is begun.
  await eventually('a copy under way is cancelled', async () => {
    const told: { done: number; total: number }[] = [];
    const end = await client.vm
      .fork(
        { vm: 'one', full: true, name: 'clone' },
        {
          onTask: ({ id, progress }) => {
            if (told.length > 0 || progress?.unit !== 'bytes' || !progress.done) return;
            told.push({ done: progress.done, total: progress.total ?? 0 });
            client.task.cancel({ task: id }).catch(() => {}); // it has ended
          },
        },
      )
      .then(
        () => 'done',
        ({ code }: VivError) => code,
      );
    if (end === 'done') await client.vm.remove({ vm: 'clone' });
    assert.equal(end, 'cancelled');
    const [{ done, total } = { done: 0, total: 0 }] = told;
    assert.ok(done > 0 && done < total && total > 192 * MiB && total < 250 * MiB, `${done} of ${total} bytes`);
  });
  assert.deepEqual(await readdir(paths.vms), [one.id]);
  assert.deepEqual(await readdir(paths.layers), []);
  await client.vm.remove({ vm: 'one' });
});

test('a copy ends with a killed daemon, and the next daemon continues it', async () => {
  await using other = await testHost({ qemu: 'fake' });
  await other.start();
  const { paths } = other;
  const one = await other.client.vm.create({ image: 'disk', name: 'one', memoryBytes, diskBytes: 1024 * MiB });
  await io(paths.vm(one.id).rootDisk, 'write -q -P 7 16M 192M');
  const copying = Promise.withResolvers<void>();
  const asked = other.client.vm.fork(
    { vm: 'one', full: true, name: 'clone' },
    { onTask: ({ progress }) => progress?.unit === 'bytes' && progress.done && copying.resolve() },
  );
  asked.catch(() => {}); // it may hear the task's end from the next daemon or not
  await Promise.race([copying.promise, asked]);
  await other.kill();
  const copiers = () => run('pgrep', ['-f', `^qemu-img convert.*${other.stateDirectory}`]).catch(() => null);
  await eventually('no copying goes on', async () => (await copiers()) === null);
  await other.start();
  await other.settled();
  const clone = await other.client.vm.show({ vm: 'clone' });
  await other.client.vm.remove({ vm: 'one' });
  await io(paths.vm(clone.id).rootDisk, 'read -q -P 7 16M 192M');
  assert.deepEqual(await readdir(paths.vms), [clone.id]);
  await other.client.vm.remove({ vm: 'clone' });
});
