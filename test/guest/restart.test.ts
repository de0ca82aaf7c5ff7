// How VMs end by themselves, what is told of it, and which of them the restart policy brings back. Most of it with guests
// of one boot sector, which end on a typed letter; a kernel that panics is a real one.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { queryStatus } from '../../src/qemu/command.ts';
import { connectQmp } from '../../src/qemu/qmp.ts';
import type { CreateOptions } from '../../src/sdk/client.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { writeBootDisk } from './boot-sector.ts';

let host: TestHost;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  const disk = join(host.stateDirectory, 'program.raw');
  await writeBootDisk(disk, 'program ready');
  await host.client.image.import({ path: disk, name: 'program:1' });
});

after(() => host[Symbol.asyncDispose]());

/** A guest of a boot sector that is up. */
async function program(name: string, options: CreateOptions): Promise<Vm> {
  const vm = await host.client.run('program:1', { name, memoryBytes: 32 * 2 ** 20, networks: ['none'], accel: 'tcg', ...options });
  await prints(vm, /program ready/);
  return vm;
}

async function prints(vm: Vm, text: RegExp): Promise<void> {
  let log = '';
  for await (const bytes of vm.logs({ follow: true, signal: AbortSignal.timeout(120_000) })) {
    log += bytes;
    if (text.test(log)) return;
  }
  throw new Error(`the log of ${vm.name} ended without ${text}`);
}

/** Types straight into the VM's serial line, which can be done while no daemon is there; resolves when QEMU has ended. */
const type = (vm: Vm, letter: 'p' | 'c') =>
  new Promise<void>((resolve, reject) => {
    const socket = connect(host.paths.vm(vm.id).serial);
    socket.once('error', reject).once('close', () => resolve());
    socket.write(letter);
    socket.resume(); // until QEMU ends
  });

/** Asks its QEMU itself, while no daemon does, until its guest has come to this. */
async function until({ id }: Vm, status: string): Promise<void> {
  const qmp = await connectQmp(host.paths.vm(id).qmp, { timeoutMs: 60_000 });
  try {
    await eventually(`its guest comes to ${status}`, async () => (await queryStatus(qmp)).status === status);
  } finally {
    qmp.close();
  }
}

const ways = {
  poweroff: (vm: Vm) => type(vm, 'p'),
  panic: (vm: Vm) => type(vm, 'c'),
  kill: async ({ info }: Vm) => process.kill(info.pid as number, 'SIGKILL'),
};

const now = async () => (await host.client.event.list({ limit: 1 }))[0]?.sequence ?? 0;

/** Waits until this has been told of the VM, and gives it. */
async function told(vm: Vm, what: string, since: number) {
  for await (const event of host.client.events({ after: since, signal: AbortSignal.timeout(120_000) })) {
    if (event.subject === vm.id && event.type === what) return event;
  }
  throw new Error('the events ended');
}

async function end(vm: Vm, way: keyof typeof ways) {
  const since = await now();
  void ways[way](vm);
  return await told(vm, 'vm.ended', since);
}

/** Tasks that started these VMs: nobody but the policy did. */
async function startedByPolicy(vms: readonly Vm[]): Promise<string[]> {
  const names = new Set(vms.map(({ name }) => name));
  const tasks = await host.client.task.list({ limit: 1000 });
  return tasks.filter(({ operation, target }) => operation === 'vm.start' && names.has(target ?? '')).map(({ target }) => target ?? '');
}

test('each way of ending has its reason, and the policy decides which VM comes back', async () => {
  const since = await now();
  const stay: [Vm, string, string | undefined][] = [];
  const back: Vm[] = [];
  // The first to end are those that stay as they are, so that the pause before their start is over when the last has come back.
  for (const [restart, way, state, code] of [
    ['no', 'poweroff', 'stopped', 'guest_shutdown'],
    ['no', 'panic', 'stopped', 'guest_panic'],
    ['no', 'kill', 'broken', 'qemu_exited'],
    ['on-failure', 'poweroff', 'stopped', 'guest_shutdown'],
  ] as const) {
    const vm = await program(`${restart}-${way}`, { restart });
    const { message } = await end(vm, way);
    await vm.refresh();
    assert.deepEqual([vm.info.state, vm.info.stateReason?.code], [state, code], vm.name);
    assert.equal(vm.info.stateReason?.message, message);
    stay.push([vm, state, code]);
  }
  for (const [restart, way] of [
    ['on-failure', 'panic'],
    ['on-failure', 'kill'],
    ['always', 'poweroff'],
    ['always', 'panic'],
    ['always', 'kill'],
  ] as const) {
    const vm = await program(`${restart}-${way}`, { restart });
    const begun = await now();
    await end(vm, way);
    if (way === 'panic') await told(vm, 'vm.panicked', begun);
    back.push(vm);
  }
  for (const vm of back) {
    const { pid } = vm.info;
    const ended = await told(vm, 'vm.ended', since);
    await told(vm, 'vm.started', ended.sequence);
    await vm.refresh();
    assert.deepEqual([vm.info.state, vm.info.stateReason], ['running', null], vm.name);
    assert.notEqual(vm.info.pid, pid);
  }
  for (const [vm, state, code] of stay) {
    await vm.refresh();
    assert.deepEqual([vm.info.state, vm.info.stateReason?.code], [state, code], vm.name);
  }
  assert.deepEqual(await startedByPolicy(stay.map(([vm]) => vm)), []);
  assert.equal((await startedByPolicy(back)).length, back.length);
  for (const vm of [...back, ...stay.map(([stayed]) => stayed)]) await vm.remove({ force: true });
});

test('what a user decides is never undone by the policy, also while it waits to start the VM again', async () => {
  const since = await now();
  const stopped = await program('stopped', { restart: 'always' });
  await stopped.stop({ force: true });
  const inPause = await program('in-pause', { restart: 'always' });
  await end(inPause, 'poweroff');
  await inPause.stop();
  const killed = await program('killed', { restart: 'on-failure' });
  await end(killed, 'kill');
  await killed.stop();
  const changed = await program('changed', { restart: 'always' });
  await end(changed, 'poweroff');
  await changed.set({ restart: 'no' });
  const removed = await program('removed', { restart: 'always' });
  await end(removed, 'poweroff');
  await removed.remove();

  // The pause of all of them is over when a VM that ended after them has come back.
  const clock = await program('clock', { restart: 'always' });
  const { sequence } = await end(clock, 'poweroff');
  await told(clock, 'vm.started', sequence);

  assert.deepEqual(await startedByPolicy([stopped, inPause, killed, changed, removed]), []);
  for (const vm of [stopped, inPause, killed, changed]) {
    await vm.refresh();
    assert.equal(vm.info.state, 'stopped', vm.name);
    await vm.remove();
  }
  await clock.remove({ force: true });
  const events = await host.client.event.list({ after: since, limit: 1000 });
  assert.deepEqual(
    events.filter((event) => event.type === 'vm.problem'),
    [],
  );
});

test('the policy holds across a daemon that dies', async () => {
  const paused = await program('paused', { restart: 'always' });
  const away = await program('away', { restart: 'on-failure' });
  const halted = await program('halted', { restart: 'always' });
  const done = await program('done', { restart: 'on-failure' });
  const panicked = await program('panicked', { restart: 'on-failure' });
  const since = await now();
  await end(paused, 'poweroff');
  await end(halted, 'poweroff');
  await halted.stop();
  await host.kill();
  process.kill(away.info.pid as number, 'SIGKILL');
  void type(done, 'p');
  void type(panicked, 'c');
  await Promise.all([until(done, 'shutdown'), until(panicked, 'guest-panicked')]);
  await host.start();
  for (const { id } of [paused, away, panicked]) {
    const vm = await host.client.vm(id);
    const { sequence } = await told(vm, 'vm.ended', since);
    await told(vm, 'vm.started', sequence);
  }
  await told(panicked, 'vm.panicked', since);
  assert.equal((await host.client.vm('halted')).state, 'stopped');
  const { state, stateReason } = (await host.client.vm('done')).info;
  assert.deepEqual([state, stateReason?.code], ['stopped', 'guest_shutdown'], 'how it ended is known although nobody was listening');
  for (const vm of await host.client.vms()) await vm.remove({ force: true });
});

test('a kernel panic is reported with its reason, its output is in the log, and on-failure restarts the VM', async () => {
  const vm = await host.client.run('tiny', { name: 'tiny' });
  const since = await now();
  const panic = vm.exec(['sh', '-c', 'echo c > /proc/sysrq-trigger']);
  await assert.rejects(panic, /agent was lost/);
  await told(vm, 'vm.panicked', since);
  await told(vm, 'vm.ended', since);
  await vm.refresh();
  assert.equal(vm.info.state, 'stopped');
  assert.equal(vm.info.stateReason?.code, 'guest_panic');
  assert.match(vm.info.stateReason?.message ?? '', /kernel panicked/);
  await prints(vm, /Kernel panic - not syncing: sysrq triggered crash/);

  await vm.set({ restart: 'on-failure' });
  await vm.start();
  assert.equal(vm.info.stateReason, null);
  const again = await now();
  // A kernel whose console is in use at that moment says what it has to say later than that it has panicked.
  const busy = '(while :; do cat /proc/kallsyms; done >/dev/tty1) & sleep 1';
  await assert.rejects(vm.exec(['sh', '-c', `${busy}; echo c > /proc/sysrq-trigger`]), /agent was lost/);
  await told(vm, 'vm.started', again);
  await prints(vm, /(Kernel panic - not syncing: sysrq triggered crash[\s\S]*){2}/);
  assert.equal((await vm.exec(['echo', 'back'])).stdout, 'back\n');
  await vm.remove({ force: true });
});
