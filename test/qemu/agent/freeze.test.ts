// Freezing of file systems: which ones, and what the agent reports. With -DTEST it reports what it would freeze.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cannotBuild } from './build-agent.ts';
import { connectTo, openPort } from './start-agent.ts';

const options = { skip: cannotBuild, timeout: 120_000 };

/** Lines of /proc/self/mountinfo, in the order in which they were mounted. */
const mounts = [
  '21 1 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw',
  '22 1 0:21 / /proc rw,nosuid shared:13 - proc proc rw',
  // debian:12 mounts its root file system with errors=remount-ro, which contains "ro".
  '23 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard,errors=remount-ro',
  '24 23 254:16 / /srv/my\\040data rw,relatime shared:2 - xfs /dev/vdb rw,attr2',
  '25 23 254:16 /sub /srv/again rw,relatime - xfs /dev/vdb rw,attr2',
  '26 23 254:32 / /media/cd ro,relatime - iso9660 /dev/sr0 ro',
  '27 23 0:40 / /tmp rw - tmpfs tmpfs rw,size=1g',
];

async function start(t: import('node:test').TestContext, lines: readonly string[]) {
  const port = await openPort(t);
  const file = join(port.folder, 'mountinfo');
  await writeFile(file, `${lines.join('\n')}\n`);
  port.startAgent({ command: [], env: { VIVARIUM_MOUNTINFO: file } });
  return connectTo(t, port);
}

test('every writable file system on a block device is frozen once, the last mounted first', options, async (t) => {
  const agent = await start(t, mounts);
  assert.deepEqual(await agent.freeze(10_000), { frozen: ['/srv/my data', '/'], skipped: [] });
  assert.deepEqual(await agent.thaw(), { expired: false });
});

test('a second freeze is refused until the first has been thawed', options, async (t) => {
  const agent = await start(t, mounts);
  await agent.freeze(600_000);
  await assert.rejects(agent.freeze(10_000), { code: 'guest_failed', message: /frozen already/ });
  await agent.thaw();
  await agent.freeze(10_000);
  await agent.thaw();
});

test('a thaw after the timeout reports that the file systems were not frozen for all of the time', options, async (t) => {
  const agent = await start(t, mounts);
  await agent.freeze(1000);
  // The agent thaws by itself after a second, and then accepts another freeze.
  for (const until = performance.now() + 30_000; ; ) {
    const again = await agent.freeze(600_000).catch(() => null);
    if (again) break;
    assert.ok(performance.now() < until, 'the file systems did not thaw by themselves');
  }
  assert.deepEqual(await agent.thaw(), { expired: false });
  assert.deepEqual(await agent.thaw(), { expired: true });
});

test('a new connection of the host thaws the file systems', options, async (t) => {
  const port = await openPort(t);
  const file = join(port.folder, 'mountinfo');
  await writeFile(file, `${mounts.join('\n')}\n`);
  port.startAgent({ command: [], env: { VIVARIUM_MOUNTINFO: file } });
  const first = await connectTo(t, port);
  await first.freeze(600_000);
  first.close();
  const second = await connectTo(t, port);
  assert.deepEqual((await second.freeze(10_000)).frozen, ['/srv/my data', '/']);
});

test('a guest without such a file system freezes none', options, async (t) => {
  const agent = await start(t, mounts.slice(0, 2));
  assert.deepEqual(await agent.freeze(10_000), { frozen: [], skipped: [] });
});
