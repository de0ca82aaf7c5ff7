// What a real guest showed when a snapshot was made: its screen as a small PNG, or the end of its serial log; also the snapshot that is
// made before a VM is set back, with the memory of that moment.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Vm } from '../../src/sdk/index.ts';
import { pngSize } from '../../src/snapshot/screen-image.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { writeBootDisk } from './boot-sector.ts';

const viv = fileURLToPath(new URL('../../viv', import.meta.url));
let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
});

after(() => host[Symbol.asyncDispose]());

const command = (...args: string[]) => execFileSync(viv, args, { env: host.env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

test('a snapshot of a VM with a screen has a picture of it', async () => {
  const disk = join(host.stateDirectory, 'disk.raw');
  await writeBootDisk(disk, 'started from the disk');
  await host.client.image.import({ path: disk, name: 'screen:1' });
  const vm = await host.client.run('screen:1', { name: 'screen', memoryBytes: 32 * 2 ** 20, networks: ['none'], accel: 'tcg' });
  let log = '';
  for await (const bytes of vm.logs({ follow: true, signal: AbortSignal.timeout(180_000) })) {
    log += bytes;
    if (log.includes('started from the disk')) break;
  }
  const snapshot = await vm.snapshot('seen');
  assert.equal(snapshot.thumbnail, 'png');
  const file = join(host.stateDirectory, 'seen.png');
  command('snapshot', 'thumbnail', 'screen', 'seen', file);
  // SeaBIOS leaves the text screen of 80 x 25 letters: 720 x 400.
  assert.deepEqual(pngSize(await readFile(file)), { width: 320, height: 177 });
  assert.deepEqual((await readdir(host.paths.snapshot(snapshot.id).folder)).sort(), ['devices', 'memory', 'thumbnail']);
  await vm.remove({ force: true });
});

let tiny: Vm;

test('a snapshot of a VM that uses its serial line alone has the end of what it wrote', async () => {
  tiny = await host.client.run('tiny', { name: 'tiny', snapshotPolicy: 'before risky operations' });
  await tiny.exec(['sh', '-c', 'echo written here > /dev/ttyS0; echo one > /run/memory']);
  assert.equal((await tiny.snapshot('then')).thumbnail, 'text');
  assert.match(command('snapshot', 'show', 'tiny', 'then'), /written here\n/);
});

test('what a VM was before it is set back is not lost', async () => {
  await tiny.exec(['sh', '-c', 'echo two > /run/memory']);
  const memory = async () => (await tiny.exec(['cat', '/run/memory'])).stdout.trim();
  await tiny.restore('then');
  assert.equal(await memory(), 'one');
  const guard = (await tiny.snapshots()).find(({ auto }) => auto === 'before restore');
  assert.ok(guard?.memory && !guard.writing && guard.label !== null);
  await tiny.restore(guard.label);
  assert.equal(await memory(), 'two');
  await tiny.reset();
  const made = (await tiny.snapshots()).filter(({ auto }) => auto !== null);
  assert.deepEqual(
    made.map(({ auto, memory, writing }) => [auto, memory, writing]),
    [
      ['before restore', true, false],
      ['before restore', true, false],
      ['before reset', true, false],
    ],
  );
  // The shortest: in the others this VM may have done something else as well.
  assert.ok(Math.min(...made.map(({ pausedMs }) => pausedMs)) < 500);
  await tiny.remove({ force: true });
});
