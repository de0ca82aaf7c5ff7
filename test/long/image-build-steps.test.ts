// Every fault that a build of an image can meet; ./check has a few of them (test/daemon/image-build-steps.test.ts).
import { test } from 'node:test';
import { handlers } from '../../src/operations/index.ts';
import { faultsOf, faultsOfUndo } from '../daemon/faulty-host.ts';
import { buildsWith } from '../daemon/image-build.ts';

const { steps } = handlers['image.build'];
const limits = { timeout: 600_000 };

test('a fault at any step of a build', limits, () => buildsWith(faultsOf('image.build', steps)));

for (const last of ['copy its disk', 'store the image', 'remove the files'])
  test(`the daemon dies while a build that failed after "${last}" is being undone`, limits, () =>
    buildsWith(faultsOfUndo('image.build', steps, last)),
  );
