// A full clone of a stopped VM, with a real guest: it boots, has what was written, is somebody else, and needs nothing of its origin.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';
import { out } from './in-guest.ts';

test('a full clone boots after its origin has gone, and is somebody else', { timeout: 400_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const { client, paths } = host;
  const web = await client.run('tiny', { name: 'web' });
  await out(web, 'echo before > /root/disk; sync');
  const quiet = await web.snapshot('disks', { disksOnly: true, quiesce: true });
  assert.deepEqual(quiet.frozenFileSystems, ['/']);
  await out(web, 'echo after > /root/disk; sync');
  const [clone] = await web.fork({ snapshot: 'disks', full: true, name: 'clone' });
  assert.ok(clone);
  await web.remove({ force: true });
  const layers = await readdir(paths.layers);
  assert.deepEqual(layers.map((name) => name.split('.')[1]).sort(), ['initrd', 'kernel'], 'of its origin nothing is left');
  await clone.start();
  const mac = clone.info.nics[0]?.mac;
  const nic = '/sys/class/net/eth0/address'; // its driver is loaded after the agent has begun to answer
  const tells = `cat /root/disk; hostname; for n in $(seq 600); do cat ${nic} 2>/dev/null && break; usleep 100000; done`;
  assert.equal(await out(clone, tells), `before\nclone\n${mac}`);
  await clone.refresh();
  assert.deepEqual([clone.info.imageDigest, clone.info.disks[0]?.backing], [null, null]);
  await clone.remove({ force: true });
  assert.deepEqual(await readdir(paths.layers), []);
});
