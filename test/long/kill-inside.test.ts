// The test of test/daemon, for longer.
import { test } from 'node:test';
import { withAgent } from '../daemon/image-build.ts';
import { killInside } from '../daemon/kill-inside.ts';
import { testHost } from '../daemon/test-host.ts';
import { worldOrNone } from '../network/host-in-world.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);

test(`300 kills of the daemon inside tasks that make something (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  await using world = await worldOrNone();
  await using host = await testHost({ qemu: 'fake', env: world.env });
  await withAgent(host);
  await host.start();
  await killInside(host, { rounds: 300, seed, inside: world.inside(host) });
});
