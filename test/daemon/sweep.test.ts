// What a daemon finds at its start that it does not know, or cannot read, is never a reason to lose a VM: it is shown, and health says so.
import assert from 'node:assert/strict';
import { access, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const there = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

/** Changes what the store has under a key; the daemon must be down. */
function rewrite(host: TestHost, key: string, change: (text: string) => string): void {
  const db = new DatabaseSync(host.paths.store);
  try {
    const { value } = db.prepare('SELECT value FROM entry WHERE key = ?').get(key) as { value: string };
    db.prepare('UPDATE entry SET value = ? WHERE key = ?').run(change(value), key);
  } finally {
    db.close();
  }
}

/** Something that is tidied up last. */
const stray = (host: TestHost) => join(host.paths.run, 'vms', 'stray');
/** What is done after a start has been done: the tidying up runs beside the first requests. */
const tidied = (host: TestHost) => eventually('it is tidied up', async () => !(await there(stray(host))));

const problems = async (host: TestHost) => (await host.client.host.show({})).problems.join('\n');

async function removeStore(host: TestHost): Promise<void> {
  for (const file of await readdir(host.stateDirectory)) if (file.startsWith('state.db')) await rm(join(host.stateDirectory, file));
}

test('a VM whose record cannot be read is shown as broken, and keeps all it has until it is removed', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { client: first } = host;
  const { id } = await first.vm.run({ image: 'disk', name: 'one', memoryBytes, removeOnStop: true });
  const pids = (await host.qemus()).get(id);
  await host.kill();
  rewrite(host, `vm/${id}`, (text) => text.replace('"arch":"x86_64"', '"arch":"z80"'));
  await mkdir(stray(host));
  await host.start();
  await tidied(host);
  assert.deepEqual((await host.qemus()).get(id), pids, 'its process goes on');
  assert.ok(await there(host.paths.vm(id).rootDisk), 'its disk is there');
  await assert.rejects(host.client.image.remove({ image: 'disk' }), { code: 'in_use' });
  const [listed] = await host.client.vm.list();
  assert.deepEqual([listed?.id, listed?.name, listed?.state, listed?.stateReason?.code], [id, 'one', 'broken', 'record_unreadable']);
  assert.match((await host.client.vm.show({ vm: 'one' })).stateReason?.message ?? '', /cannot be read \(arch: /);
  assert.match(await problems(host), /VM one: its record cannot be read \(arch: .*viv rm --force one/);
  await assert.rejects(host.client.vm.create({ image: 'disk', name: 'one' }), { code: 'name_taken' });
  for (const act of ['start', 'stop', 'pause', 'restart'] as const)
    await assert.rejects(host.client.vm[act]({ vm: 'one' }), { code: 'corrupt' });
  await assert.rejects(host.client.vm.set({ vm: 'one', cpus: 2 }), { code: 'corrupt' });
  await assert.rejects(host.client.vm.remove({ vm: 'one' }), { code: 'wrong_state', message: /--force/ });
  await host.down();
  rewrite(host, `vm/${id}`, (text) => text.replace('"arch":"z80"', '"arch":"x86_64"'));
  await host.start();
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
  await host.down();
  rewrite(host, `vm/${id}`, () => '"nonsense"');
  await host.start();
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'broken');
  await host.client.vm.remove({ vm: 'one', force: true });
  assert.deepEqual([...(await host.qemus())], [], 'its process has ended');
  assert.deepEqual(await readdir(host.paths.vms), []);
  await host.client.vm.create({ image: 'disk', name: 'one' });
});

test('records of other kinds that cannot be read are shown, keep their names and are removed with --force', {
  timeout: 240_000,
}, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { client } = host;
  await client.vm.create({ image: 'disk', name: 'one', memoryBytes });
  const snapshot = await client.snapshot.create({ vm: 'one', label: 'kept' });
  await client.securityGroup.create({ securityGroup: 'web', rules: [] });
  await client.vm.run({ image: 'tiny', name: 'base', memoryBytes });
  await client.snapshot.create({ vm: 'base', label: 'ready', template: true });
  await client.warmPool.create({ warmPool: 'warm', from: 'base@ready', size: 0 });
  await host.down();
  rewrite(host, `snapshot/${snapshot.id}`, (text) => text.replace('"complete":true', '"complete":"maybe"'));
  rewrite(host, 'security-group/web', (text) => text.replace('"in":"deny"', '"in":"perhaps"'));
  rewrite(host, 'warm-pool/warm', (text) => text.replace('"size":0', '"size":"some"'));
  await host.start();
  const { snapshot: snapshots, securityGroup, warmPool } = host.client;
  const health = await problems(host);
  for (const name of ['snapshot kept of one', 'security group web', 'warm pool warm'])
    assert.match(health, new RegExp(`The ${name} .*cannot be read`));
  assert.match((await snapshots.list({ vm: 'one' }))[0]?.damage ?? '', /cannot be read \(complete: /);
  assert.match((await securityGroup.list({}))[0]?.problem ?? '', /cannot be read \(in: /);
  assert.match((await warmPool.list({}))[0]?.problem ?? '', /cannot be read \(size: /);
  await assert.rejects(host.client.vm.fork({ vm: 'one', snapshot: 'kept' }), { code: 'corrupt' });
  await assert.rejects(snapshots.create({ vm: 'one', label: 'kept' }), { code: 'name_taken' });
  await assert.rejects(securityGroup.create({ securityGroup: 'web', rules: [] }), { code: 'name_taken' });
  await assert.rejects(warmPool.remove({ warmPool: 'warm' }), { code: 'corrupt', message: /rm --force warm/ });
  await snapshots.remove({ vm: 'one', snapshot: 'kept', force: true });
  await securityGroup.remove({ securityGroup: 'web', force: true });
  await warmPool.remove({ warmPool: 'warm', force: true });
  assert.deepEqual([await snapshots.list({ vm: 'one' }), await securityGroup.list({}), await warmPool.list({})], [[], [], []]);
  assert.doesNotMatch(await problems(host), /cannot be read/);
});

for (const what of ['missing', 'empty'] as const)
  test(`a store that is ${what} is rebuilt from the copies of its records, and its VMs go on`, { timeout: 240_000 }, async () => {
    await using host = await testHost({ qemu: 'fake' });
    await host.start();
    const { client } = host;
    const { id } = await client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
    const { id: other } = await client.vm.create({ image: 'disk', name: 'other', memoryBytes });
    await client.vm.rename({ vm: 'other', name: 'another' });
    await client.vm.remove({ vm: (await client.vm.create({ image: 'disk', name: 'gone', memoryBytes })).id });
    await client.snapshot.create({ vm: 'another', label: 'kept' });
    await client.securityGroup.create({ securityGroup: 'web', rules: ['in tcp 22 from any'] });
    const pids = (await host.qemus()).get(id);
    await host.kill();
    await removeStore(host);
    if (what === 'empty') await writeFile(host.paths.store, '');
    await mkdir(stray(host), { recursive: true });
    await host.start();
    await tidied(host);
    const vms = await host.client.vm.list();
    assert.deepEqual(
      vms.map(({ id, name, state }) => [id, name, state]),
      [
        [other, 'another', 'stopped'],
        [id, 'one', 'running'],
      ],
    );
    assert.deepEqual((await host.qemus()).get(id), pids, 'its process goes on');
    assert.equal((await host.client.snapshot.list({ vm: 'another' }))[0]?.label, 'kept');
    assert.equal((await host.client.securityGroup.show({ securityGroup: 'web' })).rules.length, 1);
    assert.match(await problems(host), /was missing or empty, and was rebuilt/);
    await host.happened('host.problem');
    assert.equal((await host.client.vm.pause({ vm: 'one' })).state, 'paused');
    await host.down();
    await host.start();
    assert.equal((await host.client.vm.list()).length, 2, 'the next daemon finds the same');
  });

test('a store of another state directory is refused, and nothing is changed', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await using other = await testHost({ qemu: 'fake' });
  await other.start();
  await other.client.vm.create({ image: 'disk', name: 'foreign', memoryBytes });
  await other.down();
  await host.start();
  const { id } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await host.down();
  await rename(host.paths.store, `${host.paths.store}.right`);
  await copyFile(other.paths.store, host.paths.store);
  await assert.rejects(host.start(), /is not the store of this state directory/);
  assert.equal((await host.qemus()).get(id)?.length, 1);
  await rename(`${host.paths.store}.right`, host.paths.store);
  await host.start();
  assert.deepEqual(
    (await host.client.vm.list()).map(({ name, state }) => [name, state]),
    [['one', 'running']],
  );
});

test('an older copy of the store that was put back is brought up to date from the copies of its records', {
  timeout: 240_000,
}, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.create({ image: 'disk', name: 'gone', memoryBytes });
  await host.down();
  await copyFile(host.paths.store, `${host.paths.store}.old`);
  await host.start();
  await host.client.vm.remove({ vm: 'gone' });
  const { id } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  await host.down();
  await rename(`${host.paths.store}.old`, host.paths.store);
  await host.start();
  assert.deepEqual(
    (await host.client.vm.list()).map((vm) => [vm.id, vm.state]),
    [[id, 'running']],
  );
  assert.match(await problems(host), /was an older copy, and was rebuilt/);
});

test('without a store and without copies, each VM with a folder is shown as broken, and its process and disks stay', {
  timeout: 240_000,
}, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  const { id: stopped } = await host.client.vm.create({ image: 'disk', name: 'two', memoryBytes });
  const pids = (await host.qemus()).get(id);
  await host.kill();
  await removeStore(host);
  await rm(host.paths.records);
  for (let start = 0; start < 2; start++) {
    await host.start();
    const shown = (await host.client.vm.list()).map((vm) => [vm.id, vm.name, vm.state]);
    const expected = [id, stopped].sort().map((one) => [one, `unknown-${one}`, 'broken']);
    assert.deepEqual(shown, expected);
    await host.client.vm.wait({ vm: `unknown-${id}`, for: 'running', timeoutMs: 1 }).catch(() => {});
    assert.deepEqual((await host.qemus()).get(id), pids, 'its process goes on');
    assert.ok(await there(host.paths.vm(stopped).rootDisk), 'its disk is there');
    assert.match(await problems(host), new RegExp(`unknown-${id}: its record is missing`));
    await host.down();
  }
  await host.start();
  await host.client.vm.remove({ vm: id, force: true });
  await host.client.vm.remove({ vm: stopped, force: true });
  assert.deepEqual([...(await host.qemus())], []);
  assert.deepEqual(await readdir(host.paths.vms), []);
});
