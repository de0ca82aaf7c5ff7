// Forking and setting back, with real guests: memory, disks and processes are those of the moment, and who is who stays clear.
import assert from 'node:assert/strict';
import { readdir, readlink } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import { runProgram } from '../../src/host/process/run.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { clockOff, out } from './in-guest.ts';

let host: TestHost;
let web: Vm;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web' });
  await out(web, 'until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done'); // its driver comes a little after the agent
});

after(() => host[Symbol.asyncDispose]());

/** Kept in the guest's memory alone: a file of /run, which is a tmpfs. */
const remember = (vm: Vm, memory: string, disk: string) => out(vm, `echo ${memory} > /run/memory; echo ${disk} > /root/disk; sync`);
const remembered = (vm: Vm) => out(vm, 'cat /run/memory /root/disk');

/** The file that its root disk is written to. */
async function overlayOf({ id }: Vm): Promise<string> {
  const folder = host.paths.vm(id).state;
  const files = (await readdir(folder)).filter((file) => file.startsWith('root') && file.endsWith('.qcow2'));
  assert.equal(files.length, 1, `one file is written to: ${files}`);
  return `${folder}/${files[0]}`;
}

async function gone(vms: readonly Vm[]): Promise<void> {
  for (const vm of vms) await vm.remove({ force: true });
}

test('a fork has the memory, the processes and the disk of the other, and from then on its own', async () => {
  await remember(web, 'mem-1', 'disk-1');
  await out(web, 'sleep 4711 >/dev/null 2>&1 & echo started');
  const [one] = (await web.fork()) as [Vm];
  assert.equal(one.name, 'web-1');
  assert.equal(await remembered(one), 'mem-1\ndisk-1');
  assert.notEqual(await out(one, 'ps | grep "sleep 471[1]"'), '');
  await remember(one, 'mem-of-one', 'disk-of-one');
  await remember(web, 'mem-2', 'disk-2');
  assert.equal(await remembered(one), 'mem-of-one\ndisk-of-one');
  assert.equal(await remembered(web), 'mem-2\ndisk-2');
  await gone([one]);
});

test('a command that runs in the VM is not disturbed by its fork', async () => {
  const session = await web.spawn(['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done']);
  session.stderr.resume();
  let text = '';
  session.stdout.on('data', (bytes: Buffer) => {
    text += String(bytes);
  });
  await gone(await web.fork());
  assert.equal((await session.exit).exitCode, 0);
  assert.equal(text, '1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n');
});

test('ten at once are ten different VMs', async () => {
  const many = await web.fork({ count: 10, name: 'ten-{}' });
  const facts = await Promise.all(
    [web, ...many].map(async (vm) =>
      (await out(vm, 'hostname; cat /sys/class/net/eth0/address; head -c 16 /dev/urandom | hexdump -e \'16/1 "%02x"\'')).split('\n'),
    ),
  );
  assert.deepEqual(
    facts.map(([name]) => name),
    ['web', ...many.map(({ name }) => name)],
  );
  assert.deepEqual(
    facts.map(([, mac]) => mac),
    [web, ...many].map(({ info }) => info.nics[0]?.mac),
  );
  for (const column of [0, 1, 2]) assert.equal(new Set(facts.map((fact) => fact[column])).size, 11);
  assert.equal(new Set(many.map(({ id }) => id)).size, 10);
  await gone(many);
});

test('a fork that is reset boots as any VM does, and is who it was', async () => {
  await remember(web, 'lost', 'kept');
  const [one] = (await web.fork({ name: 'again' })) as [Vm];
  await remembered(one);
  const boot = await out(one, 'cat /proc/sys/kernel/random/boot_id');
  await one.reset();
  assert.notEqual(await out(one, 'cat /proc/sys/kernel/random/boot_id'), boot);
  assert.equal(
    await out(
      one,
      'until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; hostname; cat /root/disk /sys/class/net/eth0/address; ls /run/memory 2>/dev/null || echo gone',
    ),
    `again\nkept\n${one.info.nics[0]?.mac}\ngone`,
  );
  await gone([one]);
});

test('a fork can be forked, and lives on when those before it are removed', async () => {
  await remember(web, 'root', 'root');
  const [child] = (await web.fork({ name: 'child' })) as [Vm];
  await remember(child, 'child', 'child');
  const [grandchild] = (await child.fork({ name: 'grandchild' })) as [Vm];
  await child.remove({ force: true });
  assert.equal(await remembered(grandchild), 'child\nchild');
  await grandchild.restart({ force: true });
  await host.client.vm.wait({ vm: 'grandchild' });
  assert.equal(await out(grandchild, 'cat /root/disk'), 'child');
  await gone([grandchild]);
});

test('any snapshot can be gone back to, forward and sideways, and none is lost', async () => {
  const at = async (label: string) => {
    await remember(web, label, label);
    return web.snapshot(label);
  };
  const one = await at('one');
  assert.ok(one.memory && !one.writing && one.memoryBytes > 0 && one.pausedMs > 0);
  const two = await at('two');
  assert.equal(two.parent, one.id);
  await web.restore('one');
  assert.equal(await remembered(web), 'one\none');
  const three = await at('three');
  assert.equal(three.parent, one.id, 'snapshots form a tree');
  for (const label of ['two', 'one', 'three', 'two']) {
    await web.restore(label);
    assert.equal(await remembered(web), `${label}\n${label}`);
    const apart = await clockOff(web);
    assert.ok(apart < 2, `the guest knows how late it is (${apart} s)`);
  }
  const [trial] = await host.client.vm.fork({ vm: 'web', snapshot: 'one', name: 'trial' });
  assert.equal(await remembered(await host.client.vm(trial?.id as string)), 'one\none');
  await host.client.snapshot.remove({ vm: 'web', snapshot: 'one' });
  assert.deepEqual(
    (await web.snapshots()).map(({ label, parent, current }) => [label, parent, current]),
    [
      ['two', null, true],
      ['three', null, false],
    ],
  );
  await web.restore('three');
  assert.equal(await remembered(web), 'three\nthree');
  await host.client.vm.remove({ vm: 'trial', force: true });
});

test('snapshots outlive the daemon and the VM’s process', async () => {
  await web.stop({ force: true });
  await host.kill();
  await host.start();
  web = await host.client.vm('web');
  await web.restore('two');
  assert.equal(await remembered(web), 'two\ntwo');
});

test('a snapshot of the disks alone is booted from', async () => {
  await remember(web, 'x', 'kept');
  const snapshot = await web.snapshot('disks', { disksOnly: true });
  assert.equal(snapshot.memory, false);
  await remember(web, 'x', 'overwritten');
  await web.restore('disks');
  assert.equal(web.state, 'running');
  assert.equal(await out(web, 'cat /root/disk; ls /run/memory 2>/dev/null || echo booted'), 'kept\nbooted');
});

test('a template is kept until its removal is forced, and what cannot be is said', async () => {
  await web.snapshot('base', { template: true });
  const refused = async (promise: Promise<unknown>) =>
    promise.then(
      () => assert.fail('it was not refused'),
      (error: VivError) => error.code,
    );
  assert.equal(await refused(host.client.snapshot.remove({ vm: 'web', snapshot: 'base' })), 'in_use');
  await host.client.snapshot.remove({ vm: 'web', snapshot: 'base', force: true });
  assert.equal(await refused(web.restore('base')), 'not_found');
  assert.equal(await refused(web.fork({ name: 'web' })), 'name_taken');
  assert.equal(await refused(web.fork({ count: 0 })), 'invalid');
});

test('a disk that has come to lie on many layers is made flat again while it runs, and every snapshot stays what it was', async () => {
  const [long] = (await web.fork({ name: 'long' })) as [Vm];
  const count = 18;
  for (let nth = 0; nth < count; nth++) {
    await remember(long, 'x', `disk-${nth}`);
    await long.snapshot(`point-${nth}`, { disksOnly: true });
  }
  const layersBelow = async () => {
    const { stdout } = await runProgram('qemu-img', ['info', '-U', '--backing-chain', '--output=json', await overlayOf(long)], {
      timeoutMs: 120_000,
    });
    return (JSON.parse(stdout) as unknown[]).length - 1;
  };
  // Each snapshot is a layer, and it has some from the VM it was forked from; it is made flat whenever it has more than 16.
  await eventually('it becomes flat', async () => (await layersBelow()) <= 16);
  // Else what it has written before would take room until it stops, and one day it could open no more.
  const { pid } = (await host.client.vm(long.name)).info;
  const openDisks = async () => {
    const names = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    return names.filter((name) => name.includes('.qcow2')).length;
  };
  await eventually('its process has no file open that it does not read', async () => (await openDisks()) <= (await layersBelow()) + 1);
  assert.equal(await out(long, 'cat /root/disk'), `disk-${count - 1}`);
  await long.restore('point-3');
  await long.start();
  assert.equal(await out(long, 'cat /root/disk'), 'disk-3');
  await gone([long]);
});

test('a paused VM is captured and forked repeatedly, stays paused, and resumes', async () => {
  await remember(web, 'mem-paused', 'x');
  await web.pause();
  await web.snapshot('paused-1');
  const forked = await web.fork({ name: 'of-paused' });
  await web.snapshot('paused-2');
  await host.client.vm.set({ vm: web.id, diskBytes: (web.info.disks[0]?.sizeBytes ?? 0) + 2 ** 20 });
  await web.refresh();
  assert.equal(web.state, 'paused');
  for (const vm of forked) assert.match(await remembered(vm), /mem-paused/);
  await web.resume();
  assert.match(await remembered(web), /mem-paused/);
  await gone(forked);
});

test('a suspended VM can be forked and captured, and resumes unchanged', async () => {
  await remember(web, 'mem-asleep', 'disk-asleep');
  await web.suspend();
  const snapshot = await web.snapshot('asleep');
  assert.ok(snapshot.memory && snapshot.pausedMs === 0);
  const [one] = (await web.fork({ name: 'of-asleep' })) as [Vm];
  assert.equal(one.state, 'running');
  assert.equal(await remembered(one), 'mem-asleep\ndisk-asleep');
  await web.refresh();
  assert.equal(web.state, 'suspended');
  await web.start();
  assert.equal(await remembered(web), 'mem-asleep\ndisk-asleep');
  await remember(web, 'x', 'x');
  await web.suspend();
  await web.stop({ force: true });
  await web.restore('asleep');
  assert.equal(await remembered(web), 'mem-asleep\ndisk-asleep');
  await gone([one]);
});

test('a stopped VM can be forked too, and the copies boot', async () => {
  await remember(web, 'x', 'cold');
  await web.stop();
  const [copy] = (await web.fork({ name: 'copy' })) as [Vm];
  assert.equal(copy.state, 'stopped');
  await Promise.all([copy.start(), web.start()]);
  assert.equal(await out(copy, 'hostname; cat /root/disk'), 'copy\ncold');
  assert.equal(await out(web, 'hostname'), 'web');
  await gone([copy]);
});

test('the disks are sound, and with the VMs everything of theirs is gone', async () => {
  const files = await readdir(host.paths.layers);
  assert.ok(files.length > 0);
  for (const file of files)
    await runProgram('qemu-img', ['check', '-q', '-f', 'qcow2', `${host.paths.layers}/${file}`], { timeoutMs: 120_000 });
  await gone([web]);
  assert.deepEqual(await readdir(host.paths.layers), []);
  assert.deepEqual(await readdir(host.paths.snapshots), []);
  assert.deepEqual(await readdir(host.paths.vms), []);
});
