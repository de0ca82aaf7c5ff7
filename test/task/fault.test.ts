// Faults for tests: what the environment says, and what a file says that changes while the daemon runs.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultsFrom } from '../../src/task/fault.ts';

test('a fault strikes once, and only at its moment', () => {
  const faults = faultsFrom({ VIV_TEST_FAULT: 'vm.start:start QEMU:after:run:throw' });
  void faults?.at?.('vm.start', 'start QEMU', 'before', 'run');
  assert.throws(() => faults?.at?.('vm.start', 'start QEMU', 'after', 'run'), /injected after the run of vm.start's step start QEMU/);
  void faults?.at?.('vm.start', 'start QEMU', 'after', 'run');
});

test('a file of faults is read again when it says something else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-fault-'));
  const file = join(folder, 'faults');
  try {
    await writeFile(file, '');
    const faults = faultsFrom({ VIV_TEST_FAULT: `@${file}` });
    const strike = () => faults?.at?.('vm.stop', 'end QEMU', 'before', 'run');
    void strike();
    for (let round = 0; round < 2; round++) {
      await writeFile(file, 'vm.stop:end QEMU:before:run:throw');
      assert.throws(strike, /injected before the run of vm.stop/);
      void strike();
      await writeFile(file, '');
      void strike();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what is written wrongly is refused with the way to write it', () => {
  assert.throws(() => faultsFrom({ VIV_TEST_FAULT: 'vm.stop:now' }), /the form is OPERATION:STEP/);
});
