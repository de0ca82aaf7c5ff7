// The host's disk becomes full in the middle of a fork and of a snapshot, with real guests: the VM goes on, its disks are
// whole, and nothing is left behind. Needs root, for a file system of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, statfsSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { checkDisk } from '../../src/storage/disk.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { out, refusal } from './in-guest.ts';

const MiB = 2 ** 20;

/** Takes all but so much, until it is disposed of. */
async function fill(host: TestHost, leaveBytes: number): Promise<AsyncDisposable> {
  const file = join(host.stateDirectory, `filler-${Math.random()}`);
  const fd = openSync(file, 'w');
  try {
    const { bavail, bsize } = statfsSync(host.stateDirectory);
    let left = leaveBytes === 0 ? Number.POSITIVE_INFINITY : bavail * bsize - leaveBytes;
    for (const piece of [Buffer.alloc(MiB, 1), Buffer.alloc(4096, 1)])
      while (left >= piece.length && writeSync(fd, piece) === piece.length) left -= piece.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

/** Resolves when there is a file in a folder that was not there. */
async function newFile(folder: string, desired: (file: string) => boolean): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const known = new Set(await readdir(folder, { recursive: true }));
  for (;;) {
    const now = await readdir(folder, { recursive: true }).catch(() => []);
    if (now.some((file) => !known.has(file) && desired(file))) return;
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function told({ code, message }: VivError, t: TestContext): void {
  t.diagnostic(message);
  assert.equal(code, 'no_space', message);
  assert.match(message, /^[^\n]{20,400}$/);
}

async function asBefore(host: TestHost, web: Vm): Promise<void> {
  assert.equal(await out(web, 'cat /run/memory /root/disk'), 'here\nhere');
  assert.deepEqual(
    (await host.client.vm.list()).map(({ name, state }) => [name, state]),
    [['web', 'running']],
  );
  assert.deepEqual([...(await host.qemus()).keys()], [web.id]);
  assert.deepEqual(await readdir(host.paths.snapshots), []);
  assert.deepEqual(await readdir(host.paths.vms), [web.id]);
  const overlays = (await readdir(host.paths.vm(web.id).state)).filter((name) => name.includes('.qcow2'));
  assert.equal(overlays.length, 1, `one top: ${overlays}`);
  assert.deepEqual((await host.client.task.list({ state: 'running' })).length, 0);
  for (const { undoError } of await host.client.task.list({ limit: 1000 })) assert.equal(undoError, null);
}

test('a full disk in the middle of a fork or a snapshot', { timeout: 600_000, skip: process.getuid?.() !== 0 }, async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'viv-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200m,mode=755', 'tmpfs', parent]);
  try {
    await using host = await testHost({ qemu: 'real', parent });
    await host.start();
    const web = await host.client.run('tiny', { name: 'web', memoryBytes: 128 * MiB });
    await out(web, 'echo here > /run/memory; echo here > /root/disk; sync');

    for (const [what, begun] of [
      ['is frozen', () => true],
      ['has its first VM', (file: string) => file.endsWith('serial.log') || /root-\w+\.qcow2$/.test(file)],
    ] as const)
      await t.test(`a fork that the full disk meets when it ${what} is done or refused as a whole`, async () => {
        await using _ = await fill(host, 8 * MiB);
        const folder = what === 'is frozen' ? host.paths.layers : host.paths.vms;
        const full = newFile(folder, begun).then(() => fill(host, 0));
        const call = web.fork({ count: 20 }).then(
          (made) => ({ made }),
          (error: unknown) => ({ error }),
        );
        const filler = await full;
        // What is done is recorded when there is room again.
        await new Promise((resolve) => setTimeout(resolve, 1000));
        await filler[Symbol.asyncDispose]();
        // Where only records had to wait for room it is done as a whole, else it is refused as a whole.
        const end = await call;
        if ('made' in end) {
          assert.equal(end.made.length, 20);
          for (const vm of end.made) await vm.remove({ force: true });
        } else {
          assert.ok(end.error instanceof VivError, String(end.error));
          told(end.error, t);
        }
        await asBefore(host, web);
      });

    await t.test('a fork is refused when the disk is nearly full', async () => {
      await using _ = await fill(host, 512 * 1024);
      told(await refusal(web.fork({ count: 4 })), t);
    });
    await asBefore(host, web);

    await t.test('a snapshot for whose memory there is no room is refused before anything happens', async () => {
      await using _ = await fill(host, 20 * MiB);
      told(await refusal(web.snapshot('no')), t);
      await asBefore(host, web);
    });

    await t.test('a snapshot that the full disk meets is undone', async () => {
      await out(web, 'head -c 40960k /dev/urandom > /run/large');
      // It may be done before the disk is full where this process stands still meanwhile: then another is begun.
      const end = await eventually('the full disk meets a snapshot', async () => {
        const full = newFile(host.paths.snapshots, () => true).then(() => fill(host, 0));
        const call = web.snapshot('no').then(
          () => false as const,
          (error: VivError) => error,
        );
        const filler = await full;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        await filler[Symbol.asyncDispose]();
        const outcome = await call;
        if (outcome === false) await host.client.snapshot.remove({ vm: 'web', snapshot: 'no' });
        return outcome;
      });
      told(end, t);
      assert.deepEqual(await web.snapshots(), []);
      await asBefore(host, web);
    });

    await t.test('with room again both succeed, and all disks are whole', async () => {
      await out(web, 'rm /run/large; echo 3 > /proc/sys/vm/drop_caches');
      const snapshot = await web.snapshot('yes', { disksOnly: true });
      assert.equal(snapshot.parent, null, 'what was undone is no parent');
      const [child] = (await web.fork()) as [Vm];
      assert.equal(await out(child, 'cat /run/memory /root/disk'), 'here\nhere');
      await child.remove({ force: true });
      await web.stop({ force: true });
      for (const name of await readdir(host.paths.layers)) await checkDisk(join(host.paths.layers, name));
      await web.remove({ force: true });
      for (const folder of [host.paths.layers, host.paths.snapshots, host.paths.vms]) assert.deepEqual(await readdir(folder), []);
    });
  } finally {
    execFileSync('umount', ['--lazy', parent]);
    await rm(parent, { recursive: true, force: true });
  }
});
