// A fault at every step of what is done with images: the step fails, or the daemon dies, just before and just after it. An image is there
// whole, or not at all; and nothing half-made is left.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { handlers } from '../../src/operations/index.ts';
import { testHost } from './test-host.ts';

test('a fault at any step of what is done with images', { timeout: 120_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  const faults = join(host.home, 'faults');
  const files = join(host.home, 'files');
  const source = join(files, 'source.raw');
  const target = join(files, 'target.qcow2');
  await mkdir(files);
  await writeFile(source, randomBytes(1024 * 1024));
  await writeFile(faults, '');
  host.env['VIV_TEST_FAULT'] = `@${faults}`;
  await host.start();
  const own = await readdir(host.paths.images);
  const bring = () => host.client.image.import({ path: source, name: 'copy:1', format: 'raw' });
  const scenarios = {
    'image.import': [async () => {}, bring],
    'image.remove': [bring, () => host.client.image.remove({ image: 'copy:1' })],
    'image.export': [bring, () => host.client.image.export({ image: 'copy:1', path: target })],
    'image.verify': [bring, () => host.client.image.verify({ image: 'copy:1' })],
  } as const;
  for (const [operation, [prepare, act]] of Object.entries(scenarios))
    for (const { name } of handlers[operation as 'image.import'].steps)
      for (const how of ['before:run:throw', 'after:run:throw', 'before:run:kill', 'after:run:kill']) {
        const fault = `${operation}:${name}:${how}`;
        await prepare();
        await writeFile(faults, fault);
        await assert.rejects(act() as Promise<unknown>, fault);
        await writeFile(faults, '');
        if (how.endsWith('kill')) await host.start();
        for (const { id } of await host.client.task.list({ state: 'running' }))
          for await (const { state } of host.client.task.follow({ task: id })) if (state !== 'running') break;
        const there = (await host.client.image.list({})).some(({ names }) => names.includes('copy:1'));
        if (there) {
          await host.client.image.verify({ image: 'copy:1' });
          await host.client.image.remove({ image: 'copy:1' });
        }
        assert.deepEqual(await readdir(host.paths.images), own, `${fault}: no image that nobody knows of`);
        assert.deepEqual(await readdir(host.paths.staging).catch(() => []), [], `${fault}: nothing half-made`);
        const beside = (await readdir(files)).filter((file) => file !== 'source.raw');
        assert.ok(beside.length === 0 || (operation === 'image.export' && beside.join() === 'target.qcow2'), `${fault}: ${beside}`);
        if (beside.length > 0) await host.client.image.import({ path: target, name: 'again:1' });
        if (beside.length > 0) await host.client.image.remove({ image: 'again:1' });
        for (const file of beside) await rm(join(files, file));
      }
});
