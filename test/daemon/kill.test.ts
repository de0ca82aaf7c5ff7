// Promise 3, "never unknown": the daemon may be killed at any instant.
import { test } from 'node:test';
import { chaos } from './chaos.ts';
import { testHost } from './test-host.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);

test(`50 kills of the daemon under a mixed load of 8 VMs lose nothing (seed ${seed})`, { timeout: 900_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await chaos(host, { kills: 50, steady: 4, moving: 4, seed, image: 'tiny', memoryBytes: 64 * 1024 * 1024, pauseMs: 600 });
});
