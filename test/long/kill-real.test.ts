// The kill test of test/daemon over real guests: slower, so it is a soak.
import { test } from 'node:test';
import { chaos } from '../daemon/chaos.ts';
import { testHost } from '../daemon/test-host.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);

test(`50 kills of the daemon under a mixed load of 8 real VMs lose nothing (seed ${seed})`, { timeout: 1_800_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  await chaos(host, { kills: 50, steady: 4, moving: 4, seed, image: 'tiny', memoryBytes: 128 * 1024 * 1024, pauseMs: 3000 });
});
