// Snapshots and forks as a model says, with real guests (../guest/snapshots-model.ts). VIV_SEED repeats a run, as far as time lets it.
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';
import { snapshotsModel } from '../guest/snapshot-model.ts';

const seed = Number(process.env['VIV_SEED'] ?? Date.now() % 1_000_000);
const durationMs = Number(process.env['VIV_MODEL_MS'] ?? 600_000);

test(`every snapshot reads back what was there, after ten minutes of random work (seed ${seed})`, {
  timeout: 1_500_000,
}, async (context) => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const report = await snapshotsModel(host, {
    ...{ seed, durationMs, mostSnapshots: 5, mostVms: 3, thorough: true },
    log: (line) => context.diagnostic(line),
  });
  context.diagnostic(JSON.stringify(report));
});
