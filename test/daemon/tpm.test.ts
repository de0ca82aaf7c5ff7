// VMs with a TPM, over the real daemon and a real swtpm, with a fake QEMU that never speaks to it: so nothing ends by itself.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { findSwtpm, startTpm } from '../../src/qemu/tpm.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'fake' });
  await host.start();
});

after(() => host[Symbol.asyncDispose]());

const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it was not refused'),
    (error: VivError) => error,
  );

test('it is set like other settings, and comes and goes with the next start', async () => {
  const { client } = host;
  const { tpm } = await client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  assert.equal(tpm, false);
  assert.deepEqual((await client.vm.set({ vm: 'one', tpm: true })).atNextStart, ['tpm']);
  const waiting = await client.vm.show({ vm: 'one' });
  assert.deepEqual([waiting.tpm, waiting.pending], [true, ['tpm']]);
  assert.deepEqual(await host.tpms(), []);
  await client.vm.restart({ vm: 'one', force: true });
  assert.equal((await host.tpms()).length, 1);
  await client.vm.set({ vm: 'one', tpm: false });
  await client.vm.suspend({ vm: 'one' });
  assert.deepEqual(await host.tpms(), []);
  await client.vm.start({ vm: 'one' });
  assert.equal((await host.tpms()).length, 1, 'it wakes as what it was');
  await client.vm.stop({ vm: 'one', force: true });
  await client.vm.start({ vm: 'one' });
  assert.deepEqual(await host.tpms(), []);
  await client.vm.remove({ vm: 'one', force: true });
});

test('a QEMU that cannot start takes it along', async () => {
  const { client, paths } = host;
  await client.vm.create({ image: 'tiny', name: 'one', memoryBytes, tpm: true });
  await writeFile(join(host.stateDirectory, 'fake-qemu.json'), JSON.stringify({ dieAtStart: 'no' }));
  assert.equal((await refused(client.vm.start({ vm: 'one' }))).code, 'qemu_failed');
  await writeFile(join(host.stateDirectory, 'fake-qemu.json'), '{}');
  assert.deepEqual(await host.tpms(), []);
  await client.vm.remove({ vm: 'one' });
  assert.deepEqual(await readdir(paths.vms), []);
});

test('one that a daemon has left without a QEMU is ended by the next', async () => {
  const { id } = await host.client.vm.create({ image: 'tiny', name: 'one', memoryBytes, tpm: true });
  const { tpm: folder, tpmLog: logFile } = host.paths.vm(id);
  await mkdir(folder);
  const stray = async () => {
    (await startTpm({ binary: await findSwtpm(), folder, uid: null, logFile })).close();
    return (await host.tpms())[0] ?? 0;
  };
  const first = await stray();
  await host.client.vm.start({ vm: 'one' });
  const [second] = await host.tpms();
  assert.ok(second !== undefined && second !== first, 'a start has one of its own');
  await host.kill();
  await host.start();
  assert.deepEqual(await host.tpms(), [second], 'that of a VM that runs is left');
  await host.client.vm.stop({ vm: 'one', force: true });
  await host.kill();
  await stray();
  await host.start();
  await eventually('it is swept', async () => (await host.tpms()).length === 0);
  await host.client.vm.remove({ vm: 'one' });
});

test('the TPM’s state is part of snapshots, forks and restores, and damage is reported', async () => {
  const { client, paths } = host;
  const { id } = await client.vm.create({ image: 'disk', name: 'one', memoryBytes, tpm: true });
  const file = (vm: string) => join(paths.vm(vm).tpm, 'tpm2-00.permall');
  await mkdir(paths.vm(id).tpm);
  await writeFile(file(id), 'one');
  const { id: cold } = await client.snapshot.create({ vm: 'one', label: 'cold' });
  await client.vm.start({ vm: 'one' });
  await writeFile(file(id), 'two');
  await client.snapshot.create({ vm: 'one', label: 'hot' });
  const [fork] = await client.vm.fork({ vm: 'one', snapshot: 'cold' });
  const [clone] = await client.vm.fork({ vm: 'one', snapshot: 'cold', full: true });
  const [hot] = await client.vm.fork({ vm: 'one', snapshot: 'hot' });
  const kept = await Promise.all([fork, clone, hot].map((vm) => readFile(file(vm?.id ?? ''), 'utf8')));
  assert.deepEqual(kept, ['one', 'one', 'two']);
  await client.snapshot.restore({ vm: 'one', snapshot: 'cold' });
  assert.equal(await readFile(file(id), 'utf8'), 'one');
  await writeFile(join(paths.snapshot(cold).tpm, 'tpm2-00.permall'), 'not');
  const damaged = await refused(client.vm.fork({ vm: 'one', snapshot: 'cold' }));
  assert.equal(damaged.code, 'corrupt');
  assert.match(damaged.message, /tpm2-00.permall is not as it was written/);
  for (const vm of await client.vm.list()) await client.vm.remove({ vm: vm.id, force: true });
  assert.deepEqual(await readdir(paths.snapshots), []);
  assert.deepEqual(await host.tpms(), []);
});

test('where there is none, none can be replaced', async () => {
  await host.client.vm.create({ image: 'disk', name: 'none', memoryBytes });
  const { code, message } = await refused(host.client.vm.fork({ vm: 'none', tpm: 'replace' }));
  assert.equal(code, 'invalid');
  assert.match(message, /none has no TPM that could be replaced/);
  await host.client.vm.remove({ vm: 'none' });
});

test('without swtpm it is refused with the package that has it', async () => {
  const bin = join(host.stateDirectory, 'bin');
  await mkdir(bin);
  for (const name of await readdir('/usr/bin')) if (name !== 'swtpm') await symlink(join('/usr/bin', name), join(bin, name));
  await using other = await testHost({ qemu: 'fake', env: { PATH: `${dirname(process.execPath)}:${bin}` } });
  await other.start();
  const { client } = other;
  const found = (await client.host.show({})).programs.find(({ name }) => name === 'swtpm');
  assert.deepEqual([found?.path, found?.ok, found?.required], [null, false, false]);
  assert.match(found?.install ?? '', /swtpm$/);
  await client.vm.create({ image: 'tiny', name: 'one', memoryBytes });
  const two = { image: 'tiny', name: 'two', memoryBytes, tpm: true };
  for (const ask of [() => client.vm.create(two), () => client.vm.set({ vm: 'one', tpm: true })]) {
    const { code, message } = await refused(ask());
    assert.equal(code, 'missing_program');
    assert.match(message, /apt-get install swtpm/);
  }
  await client.vm.remove({ vm: 'one' });
});
