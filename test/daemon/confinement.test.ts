// A VM's process, as its user and in its namespaces, reaches its own files and what it was made from; of other VMs, of what was written after it
// was made, of the host and of its network it reaches nothing.
import assert from 'node:assert/strict';
import { chmodSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../eventually.ts';
import { everything, opens, runAs } from './opens.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const skip = process.getuid?.() !== 0 && 'VMs of an ordinary user have that user';

interface Confined {
  readonly id: string;
  readonly pid: number;
  readonly uid: number;
}

async function confined(host: TestHost, vm: string): Promise<Confined> {
  const { id } = await host.client.vm.show({ vm });
  const { pid } = JSON.parse(readFileSync(host.paths.vm(id).process, 'utf8')) as { pid: number };
  return { id, pid, uid: lstatSync(host.paths.vm(id).run).uid };
}

/** Where something of these folders is mounted in a process's namespace. */
const mountsBelow = (pid: number, folders: readonly string[]): string[] =>
  readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((place) => folders.some((folder) => place.startsWith(`${folder}/`)));

test('a VM’s process reaches what it needs and nothing else', { skip, timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { client, paths } = host;
  await client.vm.run({ image: 'disk', name: 'parent', memoryBytes, networks: ['none'] });
  await client.vm.fork({ vm: 'parent', name: 'child' });
  await client.vm.fork({ vm: 'parent', name: 'sibling' });
  // Later than the forks: the parent's, and each child's own.
  for (const vm of ['parent', 'child', 'sibling']) await client.snapshot.create({ vm, label: `later-${vm}` });
  const vms = await Promise.all(['parent', 'child', 'sibling'].map((vm) => confined(host, vm)));
  const shared = [paths.layers, paths.snapshots];
  for (const { pid } of vms) await eventually('what a VM was made from is released', () => mountsBelow(pid, shared).length === 0);

  const kept = [host.stateDirectory, paths.run].flatMap(everything);
  const later = kept.filter((path) => shared.some((folder) => path.startsWith(`${folder}/`)));
  assert.ok(
    later.filter((path) => path.endsWith('/memory')).length >= 3 && later.some((path) => path.endsWith('.qcow2')),
    later.join('\n'),
  );
  for (const { id, pid, uid } of vms) {
    const { state, run } = paths.vm(id);
    const own = (path: string) => path.startsWith(`${state}/`) || path.startsWith(`${run}/`);
    // Images are readable for every account, and the test's fake QEMU is no secret.
    const open = (path: string) => path.startsWith(`${paths.images}/`) || path.startsWith(join(host.stateDirectory, 'fake-qemu'));
    assert.deepEqual(
      opens(uid, kept, pid).filter((path) => !own(path) && !open(path)),
      [],
    );
    assert.deepEqual(opens(uid, later), [], 'nor on the host');
    assert.ok(opens(uid, kept, pid).includes(paths.vm(id).qmp), 'its own sockets are there');
  }
});

test('it has no host around it: neither files nor processes, nor devices, nor a network', { skip, timeout: 240_000 }, async (t) => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await host.client.vm.run({ image: 'disk', name: 'one', memoryBytes, networks: ['none'] });
  const { pid, uid } = await confined(host, 'one');
  const list = (folder: string) => runAs(uid, ['ls', '-A', folder], { inside: pid }).trim().split('\n');
  const allowed = new Set(['bin', 'dev', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'proc', 'tmp', 'usr']);
  // The folders above the state directory, and above the Node that runs the fake QEMU.
  const above = [host.stateDirectory, process.execPath, host.paths.run].map((path) => path.split('/')[1] ?? '');
  assert.deepEqual(
    list('/').filter((name) => !allowed.has(name) && !above.includes(name)),
    [],
  );
  assert.deepEqual(
    list('/dev').filter((name) => !['null', 'zero', 'random', 'urandom', 'kvm'].includes(name)),
    [],
  );
  assert.deepEqual(
    list('/etc').filter((name) => !['ld.so.cache', 'alternatives'].includes(name)),
    [],
  );
  // Its own process alone, and those of this probe.
  const seen = list('/proc').filter((name) => /^\d+$/.test(name));
  assert.ok(seen.includes(String(pid)) && !seen.includes(String(host.pid)) && !seen.includes('1'), seen.join(' '));
  assert.throws(() => runAs(uid, ['sh', '-c', ': >/usr/written'], { inside: pid }), /Read-only file system/);

  for (const kind of ['mnt', 'net', 'ipc']) {
    const namespace = (of: number | 'self') => readlinkSync(`/proc/${of}/ns/${kind}`);
    assert.notEqual(namespace(pid), namespace('self'), kind);
  }
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const reach = `require('node:net').connect(${port}, '127.0.0.1').on('error', ({ code }) => console.log(code)).on('connect', () => console.log('reached'))`;
  assert.equal(runAs(uid, [process.execPath, '-e', reach], { inside: pid }).trim(), 'ENETUNREACH');

  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\t0{16}$`, 'm'));
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Umask:\t0077$/m);
  assert.match(status, /^Groups:\t\s*$/m);
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size\s+0\s+0/m);
  assert.match(limits, /^Max processes\s+4096\s+4096/m);
});

test('what it was made from is mounted file by file, and removed files take no space', { skip, timeout: 240_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const { client, paths } = host;
  await client.vm.run({ image: 'disk', name: 'one', memoryBytes, networks: ['none'] });
  await client.snapshot.create({ vm: 'one', label: 'first' });
  await client.vm.stop({ vm: 'one', force: true });
  // As version 0.1.0 left it.
  const [layer = ''] = readdirSync(paths.layers).map((name) => join(paths.layers, name));
  chmodSync(layer, 0o440);
  await client.vm.start({ vm: 'one' });
  const { pid } = await confined(host, 'one');
  await eventually('its backing file is released', () => mountsBelow(pid, [paths.layers]).length === 0);
  const images = mountsBelow(pid, [paths.images]);
  assert.equal(images.length, 1, 'the disk of its image, and nothing beside it');
  assert.ok(statSync(images[0] ?? '').isFile());
  assert.equal(statSync(layer).mode & 0o777, 0o444);
});
