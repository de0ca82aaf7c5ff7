// A QEMU that does not answer: the VM is shown so, and what became of the command is known as soon as it answers again.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { eventually } from '../eventually.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };

async function withVm(act: (host: TestHost, qemu: number) => Promise<void>): Promise<void> {
  await using host = await testHost({ qemu: 'fake' });
  await host.start({ VIV_TEST_QMP_DEADLINE_MS: '300' });
  const { id } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  const qemu = (await host.qemus()).get(id)?.[0] ?? 0;
  try {
    await act(host, qemu);
  } finally {
    if (alive(qemu)) process.kill(qemu, 'SIGCONT');
  }
}

const stateOf = async (host: TestHost) => (await host.client.vm.show({ vm: 'one' })).state;

/** The verbs, each of their QMP commands at which QEMU stops, and what the VM is when QEMU has carried the command out late. */
const cases = [
  { verb: 'pause', at: 'query-status', later: 'running' },
  { verb: 'pause', at: 'stop', later: 'paused' },
  { verb: 'resume', at: 'query-status', later: 'paused' },
  { verb: 'resume', at: 'cont', later: 'running' },
  { verb: 'reset', at: 'system_reset', later: 'running' },
] as const;

for (const { verb, at, later } of cases)
  test(`${verb}: QEMU stops at ${at}; the VM is not shown as running, and is ${later} when QEMU answers`, limits, () =>
    withVm(async (host, qemu) => {
      if (verb === 'resume') await host.client.vm.pause({ vm: 'one' });
      await writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify({ stallOn: [at] }));
      await assert.rejects(host.client.vm[verb]({ vm: 'one' }));
      const shown = await host.client.vm.show({ vm: 'one' });
      assert.equal(shown.state, 'not-responding');
      assert.equal(shown.stateReason?.code, 'not_responding');
      await assert.rejects(host.client.vm.pause({ vm: 'one' }), { code: 'wrong_state' });
      await writeFile(host.env['FAKE_QEMU_CONTROL'] as string, '{}');
      process.kill(qemu, 'SIGCONT');
      await eventually(`the VM is ${later}`, async () => (await stateOf(host)) === later);
      // The record is right: the other verb works.
      if (later === 'paused') assert.equal((await host.client.vm.resume({ vm: 'one' })).state, 'running');
    }),
  );

test('a VM whose QEMU does not answer is stopped by force', limits, () =>
  withVm(async (host, qemu) => {
    process.kill(qemu, 'SIGSTOP');
    await assert.rejects(host.client.vm.pause({ vm: 'one' }));
    assert.equal((await host.client.vm.stop({ vm: 'one', force: true })).state, 'stopped');
  }),
);

test('a daemon that starts shows a QEMU that does not answer, and adopts it when it does', limits, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
  const qemu = (await host.qemus()).get(id)?.[0] ?? 0;
  await host.kill();
  process.kill(qemu, 'SIGSTOP');
  await host.start();
  assert.equal(await stateOf(host), 'not-responding');
  process.kill(qemu, 'SIGCONT');
  await eventually('it is adopted', async () => (await stateOf(host)) === 'running');
  assert.equal((await host.client.vm.pause({ vm: 'one' })).state, 'paused');
});
