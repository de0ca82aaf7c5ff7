// The states of a VM's process: which transition leads where.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VmConnection } from '../../src/vm/connection.ts';
import { VmRuntime } from '../../src/vm/runtime.ts';

const connection = { end: () => {} } as VmConnection;

/** Applies methods by name to a new runtime, and returns the states in between. */
function states(...methods: (keyof VmRuntime)[]): string[] {
  const runtime = new VmRuntime(() => {});
  return methods.map((method) => {
    const arg = method === 'connect' ? connection : method === 'stopResponding' ? 1000 : undefined;
    (runtime[method] as (arg: unknown) => void)(arg);
    return runtime.state.is;
  });
}

test('a VM is started, and its end is expected until its guest runs', () => {
  assert.deepEqual(states('beginStart', 'connect', 'run'), ['starting', 'starting', 'active']);
  assert.deepEqual(states('beginStart', 'connect', 'hold', 'beginStart', 'run'), ['starting', 'starting', 'held', 'starting', 'active']);
  assert.deepEqual(states('beginStart', 'disconnect'), ['starting', 'absent']);
  const runtime = new VmRuntime(() => {});
  runtime.beginStart();
  assert.ok(runtime.isEndExpected);
  runtime.run();
  assert.ok(!runtime.isEndExpected);
});

test('an adopted process is active; an abandoned end returns to the state before', () => {
  assert.deepEqual(states('connect', 'beginEnd', 'abandonEnd'), ['active', 'ending', 'active']);
  assert.deepEqual(states('connect', 'fillDisk', 'beginEnd', 'beginEnd', 'abandonEnd'), [
    'active',
    'disk-full',
    'ending',
    'ending',
    'disk-full',
  ]);
  assert.deepEqual(states('connect', 'beginEnd', 'disconnect', 'abandonEnd'), ['active', 'ending', 'ending', 'absent']);
});

test('a full disk is remembered through a capture, unless the captured state is kept', () => {
  assert.deepEqual(states('connect', 'fillDisk', 'freeze', 'unfreeze'), ['active', 'disk-full', 'frozen', 'disk-full']);
  assert.deepEqual(states('connect', 'freeze', 'fillDisk', 'unfreeze'), ['active', 'frozen', 'frozen', 'disk-full']);
  assert.deepEqual(states('connect', 'fillDisk', 'freeze', 'resume', 'unfreeze'), ['active', 'disk-full', 'frozen', 'frozen', 'active']);
  assert.deepEqual(states('connect', 'fillDisk', 'stayFrozen', 'unfreeze'), ['active', 'disk-full', 'frozen', 'active']);
});

test('a QEMU that does not answer is shown so until it answers, but not while it is started or ended', () => {
  assert.deepEqual(states('connect', 'fillDisk', 'stopResponding', 'respond'), ['active', 'disk-full', 'not-responding', 'disk-full']);
  assert.deepEqual(states('connect', 'stopResponding', 'beginEnd', 'abandonEnd'), ['active', 'not-responding', 'ending', 'not-responding']);
  assert.deepEqual(states('beginStart', 'stopResponding'), ['starting', 'starting']);
  assert.deepEqual(states('connect', 'beginEnd', 'stopResponding'), ['active', 'ending', 'ending']);
  const runtime = new VmRuntime(() => {});
  runtime.connect(connection);
  runtime.stopResponding(1000);
  assert.equal(runtime.notRespondingSince, 1000);
});

test('what a VM’s view shows is reported as a change', () => {
  let changes = 0;
  const runtime = new VmRuntime(() => changes++);
  runtime.connect(connection);
  runtime.fillDisk();
  runtime.resume();
  runtime.stopResponding(1);
  runtime.respond();
  assert.equal(changes, 5);
});
