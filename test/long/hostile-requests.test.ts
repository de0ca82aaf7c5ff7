// As test/daemon/hostile, a hundred thousand times. VIV_SEED repeats a run.
import { test } from 'node:test';
import { sendHostileRequests } from '../daemon/hostile/requests.ts';
import { testHost } from '../daemon/test-host.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);

test(`100,000 requests made from openapi.json with hostile values end nothing (seed ${seed})`, { timeout: 3_000_000 }, async (context) => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  for (const name of ['aa', 'bb']) await host.client.vm.create({ image: 'tiny', name, memoryBytes: 64 * 2 ** 20 });
  const { statuses } = await sendHostileRequests(host, { count: 100_000, seed });
  context.diagnostic(JSON.stringify(statuses));
});
