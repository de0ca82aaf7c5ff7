// Alerts over a store in memory, a clock that the test moves and a webhook of its own: what is delivered, in which order, how often, and what
// a daemon that comes back does.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import type { Notification } from '../../src/contract/alert.ts';
import type { Clock } from '../../src/host/clock.ts';
import { outgoingPolicy } from '../../src/host/outgoing.ts';
import { Alerts } from '../../src/resource/alert/alerts.ts';
import { type Delivery, DeliveryQueue, dueDeliveries, mostQueued, nextAttempt } from '../../src/resource/alert/queue.ts';
import type { AlertRecord, AlertStore } from '../../src/resource/alert/record.ts';
import { isPermanent } from '../../src/resource/alert/send.ts';
import { hostCounters, runningLook } from './looks.ts';

const start = 1_764_000_000_000;
const hour = 3_600_000;

/** Time stands still until the test moves it; what is due then is called. */
class HandClock implements Clock {
  #now = start;
  #due: { at: number; act: () => void }[] = [];
  now = () => this.#now;
  after(ms: number, act: () => void): () => void {
    const entry = { at: this.#now + ms, act };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }
  move(ms: number): void {
    this.#now += ms;
    const due = this.#due.filter(({ at }) => at <= this.#now);
    this.#due = this.#due.filter(({ at }) => at > this.#now);
    for (const { act } of due) act();
  }
}

class MemoryStore implements AlertStore {
  readonly entries = new Map<string, unknown>();
  full = false;
  list = async (prefix: string) =>
    [...this.entries].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => ({ key, value: structuredClone(value) }));
  commit = async ({ puts = [], deletes = [] }: Parameters<AlertStore['commit']>[0]) => {
    if (this.full) throw new Error('the disk is full');
    for (const { key, value } of puts) this.entries.set(key, structuredClone(value));
    for (const key of deletes) this.entries.delete(key);
  };
  keys = (prefix: string) => [...this.entries.keys()].filter((key) => key.startsWith(prefix));
}

interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly got: { notification: Notification; key: string | undefined }[];
  /** What it answers from now on; null: nothing, ever. */
  answer: number | null;
  /** Resolves when it has been asked so many times. */
  asked(times: number): Promise<void>;
}

async function receiver(): Promise<Receiver> {
  const waiters: { times: number; resolve: () => void }[] = [];
  const read = async (request: IncomingMessage) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    return JSON.parse(text) as Notification;
  };
  const server = createServer((request, response) => {
    void read(request).then((notification) => {
      self.got.push({ notification, key: request.headers['idempotency-key'] as string | undefined });
      if (self.answer !== null) response.writeHead(self.answer).end();
      for (const { times, resolve } of waiters) if (self.got.length >= times) resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const self: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret`,
    got: [],
    answer: 200,
    asked: (times) => new Promise<void>((resolve) => (self.got.length >= times ? resolve() : waiters.push({ times, resolve }))),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

interface Bench {
  readonly clock: HandClock;
  readonly store: MemoryStore;
  readonly events: { type: string; message: string }[];
  alerts: Alerts;
  /** As the next daemon does it. */
  reopen(): Promise<void>;
  /** One look of the monitor, a second later. */
  look(cpuPercent: number | undefined, name?: string): void;
}

async function bench(): Promise<Bench> {
  const clock = new HandClock();
  const store = new MemoryStore();
  const events: { type: string; message: string }[] = [];
  const open = () =>
    Alerts.open({
      ...{ store, clock, hostname: hostname(), policy: outgoingPolicy(['127.0.0.1']), log: pino({ enabled: false }) },
      record: (event) => events.push(event),
    });
  const self: Bench = {
    ...{ clock, store, events, alerts: await open() },
    async reopen() {
      await self.alerts.stop();
      self.alerts = await open();
      self.alerts.begin();
    },
    look(cpuPercent, name = 'web') {
      clock.move(1000);
      self.alerts.onLook({
        at: clock.now(),
        host: { values: {}, counters: hostCounters, recent: { list: () => [], push: () => {} } as never },
        vms: [{ ...runningLook(name), values: cpuPercent === undefined ? {} : { cpuPercent } }],
      });
    },
  };
  return self;
}

const record = (to: string, more: Partial<AlertRecord> = {}): AlertRecord => ({
  ...{
    name: 'busy',
    rule: 'cpuPercent > 90 for 5s',
    vms: [],
    to: [to],
    severity: 'warning',
    repeatMs: hour,
    silencedUntil: null,
    createdAt: start,
  },
  ...more,
});

const looks = (on: Bench, count: number, value: number | undefined) => {
  for (let at = 0; at < count; at++) on.look(value);
};

/** Until so many are left in the queue: what was sent has been taken off it. */
async function settled(on: Bench, left = 0): Promise<void> {
  while (on.store.keys('alert-delivery/').length > left) await new Promise((resolve) => setImmediate(resolve));
}

test('it is delivered once when it fires and once when it resolves, with the figures', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  looks(on, 60, 95);
  await hook.asked(1);
  assert.deepEqual(on.alerts.firing(), { info: 0, warning: 1, critical: 0 });
  looks(on, 30, 10);
  await hook.asked(2);
  await settled(on);
  const [fired, resolved] = hook.got.map(({ notification }) => notification);
  assert.equal(fired?.status, 'firing');
  assert.equal(fired?.text, 'cpuPercent of web is 95%, above 90% for 5 s');
  assert.deepEqual(fired?.subject, { kind: 'vm', id: 'id-web', name: 'web' });
  assert.equal(fired?.value, 95);
  assert.equal(fired?.threshold, 90);
  assert.equal(resolved?.status, 'resolved');
  assert.equal(resolved?.since, fired?.since);
  assert.equal(hook.got.length, 2);
  assert.deepEqual(
    on.events.map(({ type }) => type),
    ['alert.fired', 'alert.resolved'],
  );
  assert.deepEqual(on.store.keys('alert-state/'), []);
});

test('a daemon that comes back neither repeats what was delivered nor loses that it fires', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  looks(on, 10, 95);
  await hook.asked(1);
  await settled(on);
  await on.reopen();
  looks(on, 60, 95);
  assert.equal(on.alerts.view('busy').firing.length, 1);
  looks(on, 30, 10);
  await hook.asked(2);
  assert.deepEqual(
    hook.got.map(({ notification }) => notification.status),
    ['firing', 'resolved'],
  );
});

test('what could not be delivered is tried again by the next daemon, with the same id, in order', async () => {
  await using hook = await receiver();
  hook.answer = 503;
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  looks(on, 10, 95);
  await hook.asked(1);
  looks(on, 30, 10); // resolved meanwhile
  await on.reopen();
  assert.equal(on.alerts.view('busy').deliveries.queued, 2);
  hook.answer = 200;
  const before = hook.got.length;
  on.clock.move(hour);
  await hook.asked(before + 2);
  await settled(on);
  const ids = hook.got.map(({ key }) => key);
  assert.equal(ids[before], ids[0], 'the same notification has the same key');
  assert.deepEqual(
    hook.got.slice(before).map(({ notification }) => notification.status),
    ['firing', 'resolved'],
  );
});

test('while it fires it is delivered again after its time, and only then', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url, { repeatMs: 60_000 }));
  looks(on, 6 + 59, 95);
  await hook.asked(1);
  await settled(on);
  assert.equal(hook.got.length, 1);
  looks(on, 2, 95);
  await hook.asked(2);
  assert.notEqual(hook.got[0]?.key, hook.got[1]?.key);
});

test('silenced it is evaluated and not delivered; when the silence ends while it fires, it is', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  await on.alerts.silence('busy', on.clock.now() + 60_000);
  looks(on, 30, 95);
  assert.equal(on.alerts.view('busy').firing.length, 1);
  assert.equal(on.alerts.view('busy').deliveries.queued, 0);
  looks(on, 31, 95);
  await hook.asked(1);
  assert.equal(on.alerts.view('busy').silencedUntil, null);

  await settled(on);
  looks(on, 30, 10);
  await hook.asked(2);
  await settled(on);
  await on.alerts.silence('busy', on.clock.now() + hour);
  looks(on, 30, 95);
  looks(on, 30, 10);
  assert.deepEqual(
    on.alerts.view('busy').deliveries.queued,
    0,
    'that it resolved is of no interest to those who never learnt that it fired',
  );
});

test('only the VMs it is about, by name and pattern; one that was removed does not fire for ever', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url, { vms: ['db-*'] }));
  for (let at = 0; at < 20; at++) on.look(95, 'web');
  assert.equal(on.alerts.view('busy').firing.length, 0);
  for (let at = 0; at < 20; at++) on.look(95, 'db-1');
  await hook.asked(1);
  for (let at = 0; at < 20; at++) on.look(95, 'web');
  await hook.asked(2);
  assert.deepEqual(on.alerts.view('busy').firing, []);
  assert.match(hook.got[1]?.notification.text ?? '', /not measured/);
});

test('events are delivered with their words; more of the same kind are counted until its time is over', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url, { rule: 'event vm.*', repeatMs: 60_000 }));
  const ended = { type: 'vm.ended', subject: 'id-web', name: 'web', message: 'web ended by itself' };
  for (let at = 0; at < 4; at++) on.alerts.onEvent(ended);
  on.alerts.onEvent({ ...ended, subject: 'id-db', name: 'db' });
  on.alerts.onEvent({ type: 'network.created', name: 'lan', message: 'no VM' });
  await hook.asked(2);
  await settled(on);
  assert.deepEqual(
    hook.got.map(({ notification }) => [notification.status, notification.subject.name, notification.text]),
    [
      ['event', 'web', 'web ended by itself'],
      ['event', 'db', 'web ended by itself'],
    ],
  );
  on.clock.move(61_000);
  on.alerts.onEvent(ended);
  await hook.asked(3);
  assert.equal(hook.got[2]?.notification.suppressed, 3);
});

test('a refusal is not tried again and says so in an event', async () => {
  await using hook = await receiver();
  hook.answer = 404;
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  looks(on, 10, 95);
  await hook.asked(1);
  await settled(on);
  assert.equal(on.alerts.view('busy').deliveries.failed, 1);
  const [event] = on.events.filter(({ type }) => type === 'alert.delivery-failed');
  assert.match(event?.message ?? '', /busy could not be delivered to http:\/\/127.0.0.1:\d+\/…: answered 404/);
  assert.ok(!(event?.message ?? '').includes('secret'));
});

test('a receiver that hangs delays no other, and is given up when the daemon stops', async () => {
  await using hanging = await receiver();
  hanging.answer = null;
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hanging.url, { name: 'slow' }));
  await on.alerts.insert(record(hook.url));
  looks(on, 10, 95);
  await Promise.all([hanging.asked(1), hook.asked(1)]);
  await settled(on, 1);
  const from = performance.now();
  await on.alerts.stop();
  assert.ok(performance.now() - from < 2000);
  assert.equal(on.store.keys('alert-delivery/').length, 1, 'it is in the queue still');
});

test('on a full disk it is delivered nevertheless', async () => {
  await using hook = await receiver();
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  on.store.full = true;
  looks(on, 10, 95);
  await hook.asked(1);
});

test('a command gets the notification on its standard input; one that fails is tried again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-alert-'));
  try {
    const program = join(folder, 'page');
    await writeFile(
      program,
      `#!/bin/sh\ncat >>${folder}/got; echo "$VIV_ALERT $VIV_ALERT_STATUS" >>${folder}/env; [ -e ${folder}/well ] || { echo broken >&2; exit 3; }\n`,
    );
    await chmod(program, 0o755);
    const on = await bench();
    await on.alerts.insert(record(`command:${program}`));
    const tested = await on.alerts.test('busy', new AbortController().signal);
    assert.match(tested.deliveries[0]?.detail ?? '', /exit code 3: broken/);
    assert.equal(tested.deliveries[0]?.delivered, false);
    await writeFile(join(folder, 'well'), '');
    assert.equal((await on.alerts.test('busy', new AbortController().signal)).deliveries[0]?.delivered, true);
    assert.equal((JSON.parse((await readFile(join(folder, 'got'), 'utf8')).split('\n')[0] ?? '') as Notification).status, 'test');
    assert.equal((await readFile(join(folder, 'env'), 'utf8')).split('\n')[0], 'busy test');
    assert.equal(on.store.keys('alert-delivery/').length, 0, 'a test is not queued');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('removing an alert removes what it fires for and what waits', async () => {
  await using hook = await receiver();
  hook.answer = 503;
  const on = await bench();
  await on.alerts.insert(record(hook.url));
  looks(on, 10, 95);
  await hook.asked(1);
  await on.alerts.remove('busy');
  assert.deepEqual([...on.store.entries.keys()], []);
  assert.throws(() => on.alerts.view('busy'), { code: 'not_found' });
});

const delivery = (sequence: number, more: Partial<Delivery> = {}): Delivery => ({
  ...{ id: `${sequence}`.padStart(24, '0'), sequence, to: 'log', attempts: 0, queuedAt: start, nextAt: start },
  notification: { alert: 'busy' } as Notification,
  ...more,
});

test('pauses between attempts double to five minutes and end after a day', () => {
  const at = (attempts: number, now = start) => nextAttempt({ id: '8000', attempts, queuedAt: start }, now);
  const pauses = [1, 2, 3, 4, 10, 50].map((attempts) => Math.round(((at(attempts) ?? 0) - start) / 1000));
  assert.deepEqual(pauses, [1, 2, 4, 8, 300, 300]);
  assert.equal(at(60, start + 24 * hour), null);
});

test('only the first of each alert and destination is due, and none whose turn is under way', () => {
  const queued = [delivery(2), delivery(1), delivery(3, { to: 'https://a' }), delivery(4, { to: 'https://b', nextAt: start + 1 })];
  assert.deepEqual(
    dueDeliveries(queued, new Set(), start).map(({ sequence }) => sequence),
    [1, 3],
  );
  assert.deepEqual(
    dueDeliveries(queued, new Set(['busy log']), start + 1).map(({ sequence }) => sequence),
    [3, 4],
  );
  assert.deepEqual(dueDeliveries([delivery(1, { nextAt: start + 5 }), delivery(2)], new Set(), start), [], 'those behind it wait with it');
});

test('the queue is bounded, drops the oldest, and takes the same notification once', async () => {
  const store = new MemoryStore();
  const queue = new DeliveryQueue(store, () => assert.fail());
  const one = (id: number): Notification => ({ id: `n${id}`, alert: 'busy', at: start }) as Notification;
  for (let id = 0; id < mostQueued; id++) await queue.add(one(id), ['log']);
  assert.deepEqual(await queue.add(one(5), ['log']), []);
  const dropped = await queue.add(one(mostQueued), ['log']);
  assert.deepEqual(
    dropped.map(({ notification }) => notification.id),
    ['n0'],
  );
  assert.equal(queue.all().length, mostQueued);
  assert.equal(store.keys('alert-delivery/').length, mostQueued);
});

test('which answers are worth another attempt', () => {
  for (const status of [408, 425, 429, 500, 502, 503, 504]) assert.ok(!isPermanent(status), String(status));
  for (const status of [301, 302, 400, 401, 403, 404, 410]) assert.ok(isPermanent(status), String(status));
});
