// Automatic snapshots over the real daemon, which is given its time by the test: they come when they are due, go when no rule keeps
// them, are made before what cannot be taken back, and what keeps them from being made is told and tried again later.
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import type { Clock } from '../../src/host/clock.ts';
import { type Client, connect, type Vm } from '../../src/sdk/index.ts';
import { pngSize } from '../../src/snapshot/screen-image.ts';
import { type TestHost, testHost } from './test-host.ts';

const minute = 60_000;
const begin = new Date(2026, 10, 20, 12, 1).getTime();

/** Time that passes only when the test says so. */
class HandClock implements Clock {
  #now = begin;
  readonly #waiting = new Set<{ at: number; act: () => void }>();
  readonly now = () => this.#now;
  readonly after = (ms: number, act: () => void) => {
    const entry = { at: this.#now + ms, act };
    this.#waiting.add(entry);
    return () => void this.#waiting.delete(entry);
  };
  get waiting(): number {
    return this.#waiting.size;
  }
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#waiting].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (!next) break;
      this.#waiting.delete(next);
      this.#now = next.at;
      next.act();
    }
    this.#now = until;
  }
}

const clock = new HandClock();
let host: TestHost;
let daemon: Daemon;
let client: Client;

/** The daemon runs in this process, so its umask applies; the fake QEMU reads the file as the VM's own user. */
async function control(text: string): Promise<void> {
  const file = host.env['FAKE_QEMU_CONTROL'] as string;
  await writeFile(file, text);
  await chmod(file, 0o644);
}

async function begun(): Promise<void> {
  daemon = await startDaemon(host.env, { clock });
  client = await connect({ socket: host.paths.apiSocket, start: false });
}

async function ended(): Promise<void> {
  client.close();
  daemon.stop();
  await daemon.ended;
}

before(async () => {
  host = await testHost({ qemu: 'fake' });
  Object.assign(process.env, host.env); // the daemon is in this process
  await begun();
});

after(async () => {
  await ended();
  assert.equal(clock.waiting, 0, 'nothing waits for a daemon that has ended');
  await host[Symbol.asyncDispose]();
});

/** Lets time pass, and what this brings about come to its end. */
async function pass(ms: number): Promise<void> {
  clock.pass(ms);
  for (let quiet = 0; quiet < 3; quiet++) {
    const running = await client.task.list({ state: 'running' });
    if (running.length > 0) quiet = -1;
    for (const { id } of running) for await (const _ of await client.task.follow({ task: id })) void _;
  }
}

/** Up to a time of that day. */
const to = (time: string): Promise<void> => pass(new Date(`2026-11-20T${time}:00`).getTime() - clock.now());

/** Resolves when it is so; a little time passes meanwhile. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 1500, `it does not come to be so: ${condition}`);
    await pass(20);
  }
}

const snapshotsOf = async (vm: Vm) => (await vm.snapshots()).map(({ label, auto }) => [label, auto]);
const labelsOf = async (vm: Vm) => (await vm.snapshots()).map(({ label }) => label);

test('snapshots are made by the clock and thinned, and those made by hand stay', async () => {
  const web = await client.run('tiny', { name: 'web' });
  await web.snapshot('mine');
  await pass(0);
  assert.deepEqual(await snapshotsOf(web), [['mine', null]]);
  const { applied } = await web.set({ snapshotPolicy: 'every 10 minutes keep 2,  hourly keep 2' });
  assert.deepEqual(applied, ['snapshotPolicy']);
  assert.equal((await web.refresh()).info.snapshotPolicy, 'every 10 min keep 2, hourly keep 2');
  await until(async () => (await snapshotsOf(web)).length === 2);
  assert.deepEqual(await snapshotsOf(web), [
    ['mine', null],
    ['auto-2026-11-20-1201', 'hourly'],
  ]);
  for (const time of ['12:10', '12:20', '12:30', '12:40', '12:50', '13:00']) {
    await to(time);
    await until(async () => (await labelsOf(web)).at(-1) === `auto-2026-11-20-${time.replace(':', '')}`);
  }
  await until(async () => (await snapshotsOf(web)).length === 3);
  assert.deepEqual(await labelsOf(web), ['mine', 'auto-2026-11-20-1250', 'auto-2026-11-20-1300']);
  const tasks = (await client.task.list({ limit: 1000 })).filter(({ operation }) => operation.startsWith('snapshot.'));
  assert.ok(tasks.length >= 10 && tasks.every(({ state }) => state === 'done'));
});

test('what was missed while the daemon was away is made up for by one snapshot', async () => {
  await ended();
  clock.pass(3 * 60 * minute);
  await begun();
  const web = await client.vm('web');
  const expected = ['mine', 'auto-2026-11-20-1300', 'auto-2026-11-20-1600'];
  await until(async () => isDeepStrictEqual(await labelsOf(web), expected));
  await pass(5 * minute);
  assert.deepEqual(await labelsOf(web), expected);
});

test('a VM that does not run is left alone, and a fork has no policy', async () => {
  const web = await client.vm('web');
  const [fork] = (await web.fork()) as [Vm];
  assert.equal(fork.info.snapshotPolicy, null);
  await fork.remove({ force: true });
  const there = await snapshotsOf(web);
  await web.pause();
  await pass(3 * 60 * minute);
  assert.deepEqual(await snapshotsOf(web), there);
  await web.resume();
  await until(async () => !isDeepStrictEqual(await snapshotsOf(web), there));
});

test('a failed automatic snapshot is reported once, and retried with growing pauses', async () => {
  const web = await client.vm('web');
  const since = (await client.event.list({ limit: 1 })).at(-1)?.sequence ?? 0;
  const problems = async () => (await client.event.list({ after: since, limit: 1000 })).filter(({ type }) => type === 'vm.problem');
  await control(JSON.stringify({ refuse: { migrate: 'not today' } }));
  await pass(60 * minute);
  await until(async () => (await problems()).length > 0);
  const told = await problems();
  assert.ok(told.length >= 1 && told.length <= 7, `told ${told.length} times`);
  assert.match(told[0]?.message ?? '', /automatic snapshots of web are tried again in 1 min, because this failed: .*not today/);
  await control('{}');
  const newest = (await web.snapshots()).at(-1)?.id;
  await pass(61 * minute);
  await until(async () => (await web.snapshots()).at(-1)?.id !== newest);
});

test('before something risky a snapshot is made, and the last five of them are kept', async () => {
  const web = await client.vm('web');
  await web.set({ snapshotPolicy: 'before risky operations' });
  const risky = async () => (await web.snapshots()).filter(({ auto }) => auto?.startsWith('before ')).map(({ auto }) => auto);
  for (const act of [
    () => web.reset(),
    () => web.stop(),
    () => web.start(),
    () => web.stop({ force: true }),
    () => web.start(),
    () => web.restart({ force: true }),
    () => web.set({ autostart: true }),
    () => web.set({ cdroms: [] }),
    () => web.restore('mine'),
  ]) {
    await act();
    await pass(1000);
  }
  const last = ['before reset', 'before stop', 'before restart', 'before set', 'before restore'];
  await until(async () => isDeepStrictEqual(await risky(), last));
  const kept = (await web.snapshots()).filter(({ auto }) => auto === 'before restore');
  assert.deepEqual([kept[0]?.memory, kept[0]?.writing], [true, false]);
  await web.reset();
  const expected = ['before stop', 'before restart', 'before set', 'before restore', 'before reset'];
  await until(async () => isDeepStrictEqual(await risky(), expected));
  assert.equal((await web.refresh()).info.snapshotPolicy, 'before risky operations', 'going back does not change the policy');
});

test('without the snapshot before it a VM is not set back, but it is stopped all the same', async () => {
  const web = await client.vm('web');
  await control(JSON.stringify({ refuse: { migrate: 'not today' } }));
  await assert.rejects(web.restore('mine'), /not today/);
  assert.equal((await web.refresh()).state, 'running');
  await web.stop({ force: true });
  assert.equal(web.state, 'stopped');
  const [last] = (await client.event.list({ limit: 1000 })).filter(({ type }) => type === 'vm.problem').slice(-1);
  assert.match(last?.message ?? '', /there is no snapshot of web from before its stop: .*not today/);
  await control('{}');
  await web.start();
});

test('none ends it, and what is malformed is refused with a sentence', async () => {
  const web = await client.vm('web');
  await assert.rejects(web.set({ snapshotPolicy: 'hourly' }), /“hourly” does not say how many are kept; for example hourly keep 12/);
  await web.set({ snapshotPolicy: 'none' });
  assert.equal((await web.refresh()).info.snapshotPolicy, null);
  const there = await snapshotsOf(web);
  await pass(24 * 60 * minute);
  await web.reset();
  assert.deepEqual(await snapshotsOf(web), there);
});

test('a snapshot has a picture of the screen, or the end of the serial log', async () => {
  const web = await client.vm('web');
  const text = await web.snapshot('text');
  assert.equal(text.thumbnail, 'text');
  const bytes = async (snapshot: string, vmRef: string) =>
    Buffer.concat(await (await client.snapshot.thumbnail({ vm: vmRef, snapshot })).toArray());
  assert.match(String(await bytes('text', 'web')), /a fake VM starts\n$/);
  const disk = await client.run('disk', { name: 'disk' });
  assert.equal((await disk.snapshot('picture')).thumbnail, 'png');
  assert.deepEqual(pngSize(await bytes('picture', 'disk')), { width: 266, height: 200 });
  for (const screen of ['not a picture', 'P6\n99999 99999\n255\n', '']) {
    await control(JSON.stringify({ screen }));
    const bad = await disk.snapshot('bad');
    assert.equal(bad.thumbnail, null);
    await assert.rejects(bytes('bad', 'disk'), /the snapshot bad of disk has no thumbnail/);
    await client.snapshot.remove({ vm: 'disk', snapshot: 'bad' });
  }
});
