import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testHost } from '../test-host.ts';
import { sendHostileRequests } from './requests.ts';

test('3,000 requests made from openapi.json with hostile values end nothing, and are answered as the document says', async (context) => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const memoryBytes = 64 * 2 ** 20;
  for (const name of ['aa', 'bb']) await host.client.vm.create({ image: 'tiny', name, memoryBytes });
  const { statuses } = await sendHostileRequests(host, { count: 3000, seed: 16 });
  context.diagnostic(JSON.stringify(statuses));
  assert.ok((statuses['400'] ?? 0) > 1000 && (statuses['200'] ?? 0) + (statuses['202'] ?? 0) > 50, JSON.stringify(statuses));
});
