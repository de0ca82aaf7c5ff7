// What a daemon finds at its start that it does not know is never a reason to lose a VM's disks.
import assert from 'node:assert/strict';
import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
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

test('a VM whose record cannot be read keeps its process, its disks and its image', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes });
  const pids = (await host.qemus()).get(id);
  await host.kill();
  rewrite(host, `vm/${id}`, (text) => text.replace('"arch":"x86_64"', '"arch":"z80"'));
  await mkdir(stray(host));
  await host.start();
  await tidied(host);
  assert.deepEqual((await host.qemus()).get(id), pids, 'its process goes on');
  assert.ok(await there(host.paths.vm(id).rootDisk), 'its disk is there');
  await assert.rejects(host.client.image.remove({ image: 'disk' }), { code: 'in_use' });
  await host.down();
  rewrite(host, `vm/${id}`, (text) => text.replace('"arch":"z80"', '"arch":"x86_64"'));
  await host.start();
  assert.equal((await host.client.vm.show({ vm: 'one' })).state, 'running');
});

test('moving a damaged store away leaves the disks where they are', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.create({ image: 'disk', name: 'one', memoryBytes });
  await host.down();
  for (const file of await readdir(host.stateDirectory)) if (file.startsWith('state.db')) await rm(join(host.stateDirectory, file));
  await mkdir(stray(host), { recursive: true });
  const empty = join(host.paths.vms, 'empty');
  await mkdir(empty);
  await writeFile(join(empty, 'serial.log'), 'what was said');
  await host.start();
  await tidied(host);
  assert.ok(await there(host.paths.vm(id).rootDisk), 'its disk is there');
  assert.equal(await there(empty), false, 'a folder without disks goes');
  await host.happened('host.problem');
  const told = (await host.client.event.list({ limit: 50 })).filter(({ type }) => type === 'host.problem');
  assert.equal(told.length, 1);
  assert.match(told[0]?.message ?? '', new RegExp(id));
});
