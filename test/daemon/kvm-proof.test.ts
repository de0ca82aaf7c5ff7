// A host whose KVM device opens and whose QEMU then makes no progress: a program that never ends stands in for it. However the
// daemon ends during its proof, nothing is left; and no VM's start waits for the proof.
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { proofMarker } from '../../src/qemu/kvm/prover.ts';
import { eventually } from '../eventually.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;

/** Puts a QEMU before the fake one that hangs when it is to run the proof under KVM. @returns the variables for it */
async function hangingKvm(host: TestHost): Promise<NodeJS.ProcessEnv> {
  const qemu = join(host.stateDirectory, 'qemu');
  await rename(join(host.stateDirectory, 'fake-qemu.mjs'), join(host.stateDirectory, 'fake.mjs'));
  await writeFile(
    qemu,
    `#!/bin/sh\ncase "$*" in *isa-debug-exit*) while :; do read -t 600 _; done;; esac\nexec ${host.stateDirectory}/fake.mjs "$@"\n`,
  );
  await chmod(qemu, 0o755);
  const device = join(host.stateDirectory, 'kvm');
  await writeFile(device, '');
  await chmod(device, 0o666);
  const files = `${host.env['VIV_QEMU_FILES']}:${join(host.stateDirectory, 'fake.mjs')}`;
  return { VIV_QEMU_X86_64: qemu, VIV_QEMU_FILES: files, VIV_KVM_DEVICE: device };
}

async function proofs(host: TestHost): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || !alive(Number(entry))) continue;
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(proofMarker(host.stateDirectory))) found.push(Number(entry));
  }
  return found;
}

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('viv-proof'));

for (const end of ['down', 'kill'] as const) {
  test(`a daemon that ends by ${end} during its proof leaves no process and no file`, { timeout: 240_000 }, async () => {
    const before = await folders();
    await using host = await testHost({ qemu: 'fake' });
    await host.start(await hangingKvm(host));
    const asked = host.client.host.show({ prove: true }).catch(() => null);
    await eventually('the proof runs', async () => (await proofs(host)).length > 0);
    await host[end]();
    await asked;
    await eventually('its QEMU has ended', async () => (await proofs(host)).length === 0);
    assert.deepEqual(await folders(), before);
  });
}

test('the proof of an earlier daemon is ended by the next one', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  const env = await hangingKvm(host);
  const { spawn } = await import('node:child_process');
  const stray = spawn(
    env['VIV_QEMU_X86_64'] as string,
    ['-name', `process=${proofMarker(host.stateDirectory)}`, '-device', 'isa-debug-exit'],
    {
      stdio: 'ignore',
    },
  );
  const ended = new Promise((resolve) => stray.once('exit', (_code, signal) => resolve(signal)));
  await host.start(env);
  assert.equal(await ended, 'SIGKILL');
});

test('a VM is started under emulation while the proof still runs, and --accel kvm waits for its answer', { timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start(await hangingKvm(host));
  await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes });
  assert.equal((await proofs(host)).length > 0, true, 'the proof has not ended');
  assert.equal((await host.client.vm.show({ vm: 'one' })).accelInUse, 'tcg');
  const { accelerators, problems } = await host.client.host.show({});
  assert.match(accelerators[0]?.detail ?? '', /still running/);
  assert.ok(problems.some((problem) => /until KVM is proved/.test(problem)));
  await assert.rejects(host.client.vm.run({ image: 'disk', name: 'two', memoryBytes, accel: 'kvm' }), /made no progress/);
});
