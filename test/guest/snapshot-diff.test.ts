// What a real guest has written between two snapshots is found on its disk, and nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';

const viv = fileURLToPath(new URL('../../viv', import.meta.url));
const MiB = 2 ** 20;
let host: TestHost;
let vm: Vm;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  vm = await host.client.run('tiny', { name: 'web' });
  await vm.exec(['sync']);
  await vm.snapshot('empty');
  await vm.exec([
    'sh',
    '-c',
    'dd if=/dev/urandom of=/root/random bs=1M count=4; mkdir /new; touch "$(printf "/new/a\\377\\nb")"; rm /etc/motd; chmod 600 /etc/hosts; sync',
  ]);
  await vm.snapshot('full', { disksOnly: true });
});

after(() => host[Symbol.asyncDispose]());

test('what was written between two snapshots of a running VM is counted, in both directions the same', async () => {
  const { disks } = await vm.diff('empty', 'full', { files: false });
  const [root] = disks;
  assert.ok(root && disks.length === 1 && root.id === 'root');
  assert.ok(root.changedBytes >= 4 * MiB && root.changedBytes < 8 * MiB, `${root.changedBytes} bytes`);
  assert.equal(
    root.ranges.reduce((sum, { length }) => sum + length, 0),
    root.changedBytes,
  );
  assert.deepEqual(await vm.diff('full', 'empty', { files: false }), { disks, files: null, filesReason: null });
  assert.equal((await vm.diff('full', 'full')).disks[0]?.changedBytes, 0);
});

test('the command says how much and where', () => {
  const said = execFileSync(viv, ['snapshot', 'diff', 'web', 'empty', 'full', '--no-files'], { env: host.env, encoding: 'utf8' });
  assert.match(said, /^root: \S+ MiB differ, in \d+ regions?\n/);
  assert.match(said, /^root +0x[0-9a-f]+ +\S+ [KM]iB$/m);
});

test('a running VM is compared as it is at that instant, continues, and has no further snapshot', async () => {
  await vm.exec(['sh', '-c', 'dd if=/dev/urandom of=/root/more bs=1M count=2 && sync']);
  const { disks, files } = await vm.diff('full', 'now');
  const [root] = disks;
  assert.ok(root && root.changedBytes >= 2 * MiB && root.changedBytes < 4 * MiB, `${root?.changedBytes} bytes`);
  const added = files?.list.filter(({ change, path }) => change === 'added' && path.startsWith('/root/'));
  assert.deepEqual(
    added?.map(({ path, bytes }) => [path, bytes]),
    [['/root/more', 2 * MiB]],
  );
  assert.equal((await vm.exec(['cat', '/etc/hostname'])).stdout.trim(), 'web');
  assert.deepEqual(
    (await vm.snapshots()).map(({ label }) => label),
    ['empty', 'full'],
  );
  assert.equal((await readdir(host.paths.snapshots)).length, 2);
  assert.equal((await vm.diff('now', 'now')).disks[0]?.changedBytes, 0);
});

test('a stopped VM is compared as it is', async () => {
  await vm.exec(['sh', '-c', 'dd if=/dev/urandom of=/root/other bs=1M count=2 && sync']);
  await vm.stop({ force: true });
  const [root] = (await vm.diff('full', 'now', { files: false })).disks;
  assert.ok(root && root.changedBytes >= 4 * MiB && root.changedBytes < 6 * MiB, `${root?.changedBytes} bytes`);
});

test('files are compared by a reader VM, which is removed afterwards', async () => {
  const { files, filesReason } = await vm.diff('empty', 'full');
  assert.equal(filesReason, null);
  const told = (files?.list ?? []).map(({ on, path, change, kind }) => [on, path, change, kind].join(' ')).sort();
  // What tiny writes by itself while it comes up.
  const own = /resolv\.conf|acpid\.log|\/etc\/hostname|disk-sectors/;
  assert.deepEqual(
    told.filter((line) => !own.test(line)),
    [
      'root /etc/hosts changed file',
      'root /etc/motd removed file',
      'root /new added directory',
      'root /new/a\\xff\\x0ab added file',
      'root /root/random added file',
    ],
  );
  assert.equal(files?.list.find(({ path }) => path === '/root/random')?.bytes, 4 * MiB);
  assert.deepEqual([...(await host.qemus()).keys()], []);
  assert.deepEqual(
    (await host.client.vm.list({})).map(({ name }) => name),
    ['web'],
  );
});
