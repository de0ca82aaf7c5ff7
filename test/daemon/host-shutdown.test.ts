// The host shuts down: systemd ends the daemon, and the VMs' guests shut down with it. Told by a systemctl of the test's own.
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../eventually.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;

/** Has systemctl say this of the host, to the daemon that is started with the variables that are given back. */
async function saying(host: TestHost, words: string): Promise<NodeJS.ProcessEnv> {
  const folder = join(host.stateDirectory, 'bin');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'systemctl'), `#!/bin/sh\n[ "$*" = is-system-running ] && echo ${words}\n`);
  await chmod(join(folder, 'systemctl'), 0o755);
  return { PATH: `${folder}:${process.env['PATH']}` };
}

async function ended(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  await eventually('the daemon ends', () => !alive(pid));
}

test('when the host shuts down its guests do, and what is to run comes back with it', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start(await saying(host, 'stopping'));
  await host.client.vm.run({ image: 'tiny', name: 'kept', memoryBytes, autostart: true });
  await host.client.vm.run({ image: 'tiny', name: 'paused', memoryBytes, restart: 'always' });
  await host.client.vm.run({ image: 'tiny', name: 'other', memoryBytes });
  await host.client.vm.pause({ vm: 'paused' });
  await ended(host.pid);
  assert.deepEqual([...(await host.qemus()).keys()], [], 'no VM is left running');
  // In the same boot of the kernel, as after a soft reboot or a container's.
  await host.start();
  for (const name of ['kept', 'paused'])
    await eventually(`${name} runs`, async () => (await host.client.vm.show({ vm: name })).state === 'running');
  const { state, stateReason } = await host.client.vm.show({ vm: 'other' });
  assert.deepEqual([state, stateReason?.message], ['stopped', 'the host shut down']);
  const told = (await host.client.event.list({ limit: 1000 })).filter(({ type }) => type === 'vm.ended');
  assert.deepEqual(told.map(({ name }) => name).sort(), ['kept', 'other', 'paused']);
});

test('a daemon that is ended alone leaves its VMs running', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start(await saying(host, 'running'));
  const { pid } = await host.client.vm.run({ image: 'tiny', name: 'web', memoryBytes });
  await ended(host.pid);
  await host.start();
  assert.equal((await host.client.vm.show({ vm: 'web' })).pid, pid);
});
