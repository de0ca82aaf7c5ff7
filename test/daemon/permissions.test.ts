// Nobody but root and, of its own files, a VM's process opens what a host keeps: every file and socket of the state and run directories is
// tried as nobody and as each VM's own user.
import assert from 'node:assert/strict';
import { lstatSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { relative } from 'node:path';
import { test } from 'node:test';
import { everything, opens } from './opens.ts';
import { testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const secret = 'password: open-sesame';

test('no other user can open a file of the state directory', { skip: process.getuid?.() !== 0, timeout: 240_000 }, async () => {
  process.umask(0o022); // the usual one: a host must not depend on a stricter one
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { id } = await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes, userData: `#cloud-config\n${secret}\n` });
  await host.client.vm.run({ image: 'disk', name: 'two', memoryBytes });
  await host.client.snapshot.create({ vm: 'one', label: 'first', disksOnly: true });
  const uids = [id, (await host.client.vm.show({ vm: 'two' })).id].map((vm) => lstatSync(host.paths.vm(vm).run).uid);
  const all = [host.stateDirectory, host.paths.run].flatMap(everything);
  // Other users' VMs read images through the folder, and dnsmasq its files as a user of its own.
  const shared = (path: string) => path.startsWith(`${host.paths.images}/`) || path.startsWith(`${host.paths.network}/dns/`);
  const toTheTest = (path: string) => /^(fake-qemu\.mjs|fake-qemu\.json)$/.test(relative(host.stateDirectory, path));
  const kept = all.filter((path) => !shared(path) && !toTheTest(path));
  assert.ok(kept.includes(host.paths.store) && kept.some((path) => path.endsWith('qmp.sock')), kept.join('\n'));
  assert.ok(
    [host.paths.store, `${host.paths.store}-wal`].some((file) => readFileSync(file).includes(secret)),
    'there is something to keep',
  );
  const nobody = 65_534;
  assert.deepEqual(opens(nobody, kept), []);
  for (const uid of uids) {
    const others = kept.filter((path) => lstatSync(path).uid !== uid);
    assert.deepEqual(opens(uid, others), []);
  }
  // A store that an earlier version left readable is closed at the next start.
  await host.down();
  await chmod(host.paths.store, 0o644);
  await host.start();
  assert.deepEqual(opens(nobody, [host.paths.store, `${host.paths.store}-wal`]), []);
});
