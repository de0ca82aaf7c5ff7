// A quiesced snapshot: file systems are frozen, or the snapshot is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentConnection, FreezeResult } from '../../../src/qemu/agent/channel.ts';
import { quiesced } from '../../../src/vm/capture/quiesce.ts';
import type { Vm } from '../../../src/vm/vm.ts';

function vmWith(freeze: FreezeResult, expired = false) {
  const calls: string[] = [];
  const agent = {
    freeze: async () => {
      calls.push('freeze');
      return freeze;
    },
    thaw: async () => {
      calls.push('thaw');
      return { expired };
    },
  } as unknown as AgentConnection;
  const vm = { name: 'web', live: { agent } } as unknown as Vm;
  const act = async () => {
    calls.push('act');
    return 'done';
  };
  return { vm, calls, act };
}

test('the file systems that were frozen are returned, and thawed afterwards', async () => {
  const { vm, calls, act } = vmWith({ frozen: ['/srv', '/'], skipped: [] });
  assert.deepEqual(await quiesced(vm, act), { result: 'done', frozen: ['/srv', '/'] });
  assert.deepEqual(calls, ['freeze', 'act', 'thaw']);
});

test('a guest whose file systems cannot be frozen refuses, with the reason, and nothing is taken', async () => {
  const { vm, calls, act } = vmWith({ frozen: [], skipped: ['/: this file system cannot be frozen'] });
  await assert.rejects(quiesced(vm, act), { code: 'guest_failed', message: /cannot quiesce web: \/: this file system cannot be frozen/ });
  const none = vmWith({ frozen: [], skipped: [] });
  await assert.rejects(quiesced(none.vm, none.act), { code: 'guest_failed', message: /no writable file system of a disk/ });
  assert.deepEqual(
    [calls, none.calls],
    [
      ['freeze', 'thaw'],
      ['freeze', 'thaw'],
    ],
  );
});

test('a guest that thawed before the snapshot was complete is reported', async () => {
  const { vm, act } = vmWith({ frozen: ['/'], skipped: [] }, true);
  await assert.rejects(quiesced(vm, act), { code: 'guest_failed', message: /thawed after 30 s, before the snapshot was complete/ });
});

test('a failure while they are frozen thaws them, and is the one that is reported', async () => {
  const { vm, calls } = vmWith({ frozen: ['/'], skipped: [] });
  await assert.rejects(
    quiesced(vm, () => Promise.reject(new Error('no space'))),
    /no space/,
  );
  assert.deepEqual(calls, ['freeze', 'thaw']);
});

test('a VM that is not running needs no freezing, and one without an agent cannot be quiesced', async () => {
  const stopped = { name: 'web', live: null } as unknown as Vm;
  assert.deepEqual(await quiesced(stopped, async () => 1), { result: 1, frozen: null });
  const without = { name: 'web', live: { agent: null } } as unknown as Vm;
  await assert.rejects(
    quiesced(without, async () => 1),
    { code: 'no_agent' },
  );
});
