// The daemon is killed at each instant of a snapshot's making, with a real guest. Whether the snapshot comes about or not: the guest goes on,
// what it writes is found again, and nobody writes to a layer.
import assert from 'node:assert/strict';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { checkDisk } from '../../src/storage/disk.ts';
import { type Instant, type Killer, killerOf } from '../daemon/killer.ts';
import { alive, type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { fileHolders } from './file-holders.ts';
import { out } from './in-guest.ts';

let host: TestHost;
let killer: Killer;
let web: Vm;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web' });
  killer = killerOf(host, web.id);
  await host.kill();
  await comeBack();
});

after(async () => {
  killer[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

async function comeBack(): Promise<void> {
  await eventually('the daemon has gone', () => !alive(host.pid));
  await host.start();
  await host.settled();
  web = await host.client.vm(web.id);
}

/** What the VM's record says that it writes to: no other file of its own is kept. */
async function overlayOf({ id }: Vm): Promise<string> {
  const { state } = host.paths.vm(id);
  const files = (await readdir(state)).filter((name) => name.endsWith('.qcow2'));
  assert.equal(files.length, 1, `one file is written to: ${files}`);
  return join(state, files[0] as string);
}

async function opened(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  return Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')));
}

/** The store, QEMU and the disk say the same. */
async function whole(): Promise<void> {
  const { pid } = await host.client.vm.show({ vm: web.id });
  const files = await opened(pid as number);
  assert.ok(
    files.includes(await overlayOf(web)),
    `QEMU writes to the file that is kept for it: ${files.filter((file) => file.includes('.qcow2'))}`,
  );
  for (const name of await readdir(host.paths.layers)) {
    const layer = join(host.paths.layers, name);
    assert.equal((await stat(layer)).mode & 0o222, 0, 'a layer cannot be written');
    await checkDisk(layer).catch(async (error: Error) => assert.fail(`${error.message}: ${await fileHolders(layer)}`));
  }
  for (const { state, undoError } of await host.client.task.list({ limit: 100 }))
    assert.deepEqual([state === 'running', undoError], [false, null]);
}

const words: string[] = [];
async function write(): Promise<void> {
  const word = `w${words.length}`;
  await out(web, `echo ${word} >> /root/words; sync`);
  words.push(word);
}

const kept = async (vm: Vm) => assert.deepEqual((await out(vm, 'cat /root/words')).split('\n'), words);

/** The daemon dies there, and the next one goes on with what it was asked. */
async function strike(instant: Instant, act: () => Promise<unknown>): Promise<void> {
  await write();
  await Promise.all([killer.at(instant), act().catch(() => {})]);
  await comeBack();
  assert.equal(web.info.state, 'running');
}

// Recorded; standing still; its devices saved; on new tops; gone on.
const instants: Instant[] = ['before stop', 'after stop', 'before transaction', 'after transaction', 'after cont'];

for (const instant of instants)
  test(`the daemon dies in a fork, ${instant}`, { timeout: 120_000 }, async () => {
    await strike(instant, () => web.fork());
    await write();
    await kept(web);
    await whole();
    for (const { id } of await host.client.vm.list()) if (id !== web.id) await host.client.vm.remove({ vm: id, force: true });
    const [child] = (await web.fork()) as [Vm];
    await kept(child);
    await child.remove({ force: true });
  });

test('the daemon dies in the snapshot before a reset, whose files are not made a second time', { timeout: 120_000 }, async () => {
  await host.client.vm.set({ vm: web.id, snapshotPolicy: 'before risky operations' });
  await strike('after cont', () => web.reset());
  await web.wait({ for: 'agent' });
  await write();
  await whole();
  await host.client.vm.set({ vm: web.id, snapshotPolicy: 'none' });
});

test('data that the guest has written is present after the next start', { timeout: 120_000 }, async () => {
  await web.stop({ force: true });
  await web.start();
  await web.wait({ for: 'agent' });
  await kept(web);
});
