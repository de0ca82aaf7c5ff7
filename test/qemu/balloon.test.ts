// What a guest's balloon driver reports, as QEMU says it: what is not reported is null, never an exabyte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balloonStats } from '../../src/qemu/balloon.ts';
import type { QmpConnection } from '../../src/qemu/qmp.ts';

test('figures that the guest does not report are not known', async () => {
  const text =
    '{"last-update":17,"stats":{"stat-total-memory":1048576,"stat-available-memory":4096,"stat-swap-in":18446744073709551615,"stat-major-faults":-1}}';
  const qmp = { execute: async () => JSON.parse(text) } as unknown as QmpConnection;
  assert.deepEqual(await balloonStats(qmp), {
    ...{ updatedAt: 17, totalBytes: 1_048_576, availableBytes: 4096, freeBytes: null },
    ...{ cacheBytes: null, majorFaults: null, swapInBytes: null },
  });
});
