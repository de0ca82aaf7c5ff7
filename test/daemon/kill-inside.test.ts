// Promise 3, "never unknown": the daemon may be killed at any instant inside a task, and what the task has made is not cleared away.
import { test } from 'node:test';
import { worldOrNone } from '../network/host-in-world.ts';
import { withAgent } from './image-build.ts';
import { killInside } from './kill-inside.ts';
import { testHost } from './test-host.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);

test(`40 kills of the daemon inside tasks that make something (seed ${seed})`, { timeout: 900_000 }, async () => {
  await using world = await worldOrNone();
  await using host = await testHost({ qemu: 'fake', env: world.env });
  await withAgent(host);
  await host.start();
  await killInside(host, { rounds: 40, seed, inside: world.inside(host) });
});
