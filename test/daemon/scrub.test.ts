// The files of snapshots are looked after in the background: new layers get their checksums, damage is found before somebody needs the snapshot,
// is still known to the next daemon, and is forgotten when the file is as it was.
import assert from 'node:assert/strict';
import { open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

let host: TestHost;
let layer = '';

const often = { VIV_SCRUB_DAYS: '0.00001' };
const never = { VIV_SCRUB_DAYS: '0' };

before(async () => {
  host = await testHost({ qemu: 'fake' });
  await host.start(often);
});

after(() => host[Symbol.asyncDispose]());

async function flip(): Promise<void> {
  await using handle = await open(layer, 'r+');
  const at = (await stat(layer)).size - 1;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] as number) ^ 1]), 0, 1, at);
}

const snapshot = () => host.client.snapshot.show({ vm: 'web', snapshot: 'kept' });
const refused = (attempt: Promise<unknown>) =>
  attempt.then(
    () => assert.fail('it was not refused'),
    (error: VivError) => error,
  );

test('a new snapshot’s layer gets its checksums, and is compared with them', async () => {
  await host.client.vm.create({ image: 'disk', name: 'web' });
  await host.client.snapshot.create({ vm: 'web', label: 'kept' });
  [layer = ''] = (await readdir(host.paths.layers)).map((name) => join(host.paths.layers, name));
  await eventually('it is compared', async () => (await snapshot()).checkedAt !== null);
  assert.equal((await snapshot()).damage, null);
});

test('damage is found in the background, reported once, and known to the next daemon', async () => {
  await flip();
  await eventually('the damage is found', async () => (await snapshot()).damage !== null);
  assert.match((await snapshot()).damage ?? '', new RegExp(`^its file ${layer} is not as it was written`));
  const { checkedAt } = await snapshot();
  await eventually('it is compared again', async () => ((await snapshot()).checkedAt ?? 0) > (checkedAt ?? 0));
  assert.equal((await host.client.event.list({ limit: 1000 })).filter(({ type }) => type === 'snapshot.damaged').length, 1);
  await host.kill();
  await host.start(never);
  assert.equal((await refused(host.client.snapshot.restore({ vm: 'web', snapshot: 'kept' }))).code, 'corrupt');
  const again = await host.client.snapshot.create({ vm: 'web', label: 'on top' });
  assert.match(again.damage ?? '', /is not as it was written/, 'a snapshot that lies on the same layer has its damage');
  await host.client.snapshot.remove({ vm: 'web', snapshot: 'on top' });
});

test('what is whole again can be used again, and checksums that are damaged are no damage of the snapshot', async () => {
  await flip();
  const { bytes, ...counted } = await host.client.snapshot.verify({ vm: 'web' });
  assert.deepEqual(counted, { vm: 'web', snapshots: 1, files: 1, checksummed: 0 });
  assert.ok(bytes > 0);
  assert.equal((await snapshot()).damage, null);
  await host.client.snapshot.restore({ vm: 'web', snapshot: 'kept' });
  const [name = ''] = await readdir(host.paths.checksums);
  await writeFile(join(host.paths.checksums, name), 'vivsums1 and nothing of use');
  const { files, checksummed } = await host.client.snapshot.verify({ vm: 'web', snapshot: 'kept' });
  assert.deepEqual([files, checksummed], [0, 1]);
  await rm(join(host.paths.checksums, name));
  assert.equal((await host.client.snapshot.verify({ vm: 'web' })).checksummed, 1);
});

test('a missing layer is reported, and its checks are removed with the VM', async () => {
  await rm(layer);
  const error = await refused(host.client.snapshot.verify({ vm: 'web' }));
  assert.equal(error.code, 'corrupt');
  assert.match(error.message, /^1 of 1 snapshot of web is damaged: kept \(its file \S+ is missing\)/);
  await host.client.vm.remove({ vm: 'web', force: true });
  for (const folder of [host.paths.layers, host.paths.snapshots, host.paths.checksums, host.paths.vms])
    assert.deepEqual(await readdir(folder), []);
});
