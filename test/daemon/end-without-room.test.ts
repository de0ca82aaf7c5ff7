// A VM ends while the host's disk is full: its end is not lost, it is recorded when there is room. Needs root, for a file
// system of its own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../eventually.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const options = { timeout: 240_000, skip: process.getuid?.() !== 0 };

async function onSmallDisk(act: (host: TestHost, grow: () => void, fill: () => Promise<void>) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), 'viv-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'tmpfs', parent]);
  try {
    await using host = await testHost({ qemu: 'fake', parent });
    await host.start();
    const fill = async () => {
      for (const bytes of [2 ** 20, 2 ** 12])
        while (
          await appendFile(join(parent, 'filling'), Buffer.alloc(bytes)).then(
            () => true,
            () => false,
          )
        );
    };
    await act(host, () => execFileSync('mount', ['-o', 'remount,size=64m', parent]), fill);
  } finally {
    execFileSync('umount', [parent]);
    await rm(parent, { recursive: true, force: true });
  }
}

async function kill(pid: number | null): Promise<void> {
  process.kill(pid as number, 'SIGKILL');
  await eventually('it has gone', () => !alive(pid as number));
}

test('the end of a VM on a full disk is recorded when there is room, and its policy goes by it', options, async () => {
  await onSmallDisk(async (host, grow, fill) => {
    const one = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes: 64 * 2 ** 20 });
    const two = await host.client.vm.run({ image: 'tiny', name: 'two', memoryBytes: 64 * 2 ** 20, restart: 'on-failure' });
    await fill();
    await kill(one.pid);
    await kill(two.pid);
    await eventually('it is seen', async () => (await host.client.vm.show({ vm: 'one' })).pid === null);
    grow();
    await host.happened('vm.ended', { name: 'one' });
    const told = (await host.client.event.list({ after: 0, limit: 100 })).filter(
      ({ name, type }) => name === 'one' && type === 'vm.problem',
    );
    assert.match(told[0]?.message ?? '', /recorded when there is room/);
    const { state, stateReason } = await host.client.vm.show({ vm: 'one' });
    assert.deepEqual([state, stateReason?.code], ['broken', 'qemu_exited']);
    await eventually('the other is started again', async () => {
      const { state, pid } = await host.client.vm.show({ vm: 'two' });
      return state === 'running' && pid !== null && pid !== two.pid;
    });
  });
});
