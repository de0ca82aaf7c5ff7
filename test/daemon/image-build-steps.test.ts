// A fault at every step of an image's build: the daemon dies just after it. Steps that fail, and a daemon that dies before a step or while a
// failed build is being undone, are those of VMs (every-step.test.ts) but for a few; all of them are in test/long.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { handlers } from '../../src/operations/index.ts';
import { faultsOf, faultsOfUndo } from './faulty-host.ts';
import { build, buildsWith, nothingElse, withAgent } from './image-build.ts';
import { testHost } from './test-host.ts';

const { steps } = handlers['image.build'];
const limits = { timeout: 240_000 };

test('the daemon dies after any step of a build', limits, async () => {
  await buildsWith(faultsOf('image.build', steps).filter((fault) => fault.endsWith(':after:run:kill')));
});

test('a build fails, and the daemon may die while it is undone', limits, async () => {
  const failed = ['set it up inside', 'store the image', 'end QEMU'].map((step) => `image.build:${step}:after:run:throw`);
  const died = faultsOfUndo('image.build', steps, 'copy its disk').filter((fault) =>
    /:start QEMU:before|:copy its disk:before/.test(fault),
  );
  await buildsWith([...failed, ...died]);
});

test('every step of a build may be executed twice', limits, async () => {
  await using host = await testHost({ qemu: 'fake', env: { VIV_TEST_TWICE: '1' } });
  await withAgent(host);
  await host.start();
  const own = await readdir(host.paths.images);
  const image = await build(host);
  assert.deepEqual([image.names, image.kind, image.source], [['built:1'], 'kernel', 'built from tiny']);
  await nothingElse(host, own, 'with each step twice');
});
