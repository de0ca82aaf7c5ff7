// What the daemon has seen, over fake-qemu: history that outlives it, metrics that a real Prometheus scrapes, and alerts that leave by a webhook
// once, whatever happens to the daemon.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { Notification } from '../../src/contract/alert.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const limits = { timeout: 240_000 };

interface Hook extends AsyncDisposable {
  readonly url: string;
  readonly got: Notification[];
  answer: number | null;
}

async function webhook(): Promise<Hook> {
  const server = createServer((incoming, response) => {
    void text(incoming).then((body) => {
      self.got.push(JSON.parse(body) as Notification);
      if (self.answer !== null) response.writeHead(self.answer).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const self: Hook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    got: [],
    answer: 204,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

const allowed = { VIV_OUTGOING_ALLOW: '127.0.0.1' };

describe('what is measured', limits, () => {
  let host: TestHost;
  before(async () => {
    host = await testHost({ qemu: 'fake' });
    await host.start();
    await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
    await host.client.vm.create({ image: 'tiny', name: 'off', memoryBytes });
  });
  after(() => host[Symbol.asyncDispose]());

  test('top has the host, each VM, and nothing that is not known', async () => {
    const top = await eventually('both VMs are measured', async () => {
      const now = await host.client.top.show({});
      return now.vms.length === 2 && now.vms.some(({ name, values }) => name === 'one' && values.residentBytes) ? now : false;
    });
    const [off, one] = top.vms;
    assert.deepEqual([off?.name, one?.name], ['off', 'one']);
    assert.deepEqual(off?.values, {});
    assert.equal(one?.memoryBytes, memoryBytes);
    // fake-qemu has no thread that runs guest code, no balloon and no tap.
    for (const name of ['cpuCores', 'guestUsedBytes', 'networkSendBytesPerSecond'] as const)
      assert.ok(!(name in (one?.values ?? {})), name);
    assert.equal(top.host.values.runningVms, 1);
    assert.ok((top.host.values.memoryAvailableBytes ?? 0) > 0);
  });

  test('disk figures are rates of QEMU’s counters', async () => {
    const values = await eventually('two answers of QEMU', async () => {
      const found = (await host.client.top.show({})).vms.find(({ name }) => name === 'one')?.values;
      return found?.diskWriteBytesPerSecond === undefined ? false : found;
    });
    assert.ok(Math.abs((values.diskWriteBytesPerSecond ?? 0) - 8192) < 1200, `${values.diskWriteBytesPerSecond}`);
    assert.ok(Math.abs((values.diskLatencyMs ?? 0) - 5 / 3) < 0.01, `${values.diskLatencyMs}`);
  });

  test('promtool finds nothing to complain about in /metrics, and a real Prometheus scrapes it', async () => {
    const bytes = await text(await host.client.metrics.show({}));
    assert.match(bytes, /^vivarium_vm_state\{vm="off",id="\w+",state="stopped"\} 1$/m);
    assert.match(bytes, /^vivarium_vm_disk_written_bytes_total\{vm="one",id="\w+",disk="root"\} \d+$/m);
    const promtool = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    promtool.stdin.end(bytes);
    assert.equal(await text(promtool.stdout), '');
    assert.equal(await text(promtool.stderr), '');
    assert.match(await scraped(host.paths.apiSocket, 'vivarium_vm_memory_bytes{vm="one"}'), /"67108864"/);
  });

  test('the history outlives the daemon, has gaps where it did not run, and goes with its VM', async () => {
    const known = async () => {
      const { at, mean } = await host.client.stats.show({ vm: 'one', sinceMs: 60_000 });
      return at.filter((_, index) => (mean['residentBytes']?.[index] ?? null) !== null);
    };
    const before = await eventually('a few seconds of history', async () => {
      const times = await known();
      return times.length >= 3 ? times : false;
    });
    await host.down();
    await host.start();
    const after = new Set(await known());
    assert.ok(
      before.every((time) => after.has(time)),
      'all of them are there still',
    );
    const { vm, mean } = await host.client.stats.show({ sinceMs: 60_000 });
    assert.equal(vm, null);
    assert.ok((mean['memoryAvailableBytes'] ?? []).some((value) => value !== null));
    const off = await host.client.stats.show({ vm: 'off' });
    assert.deepEqual(off.mean, {});

    const { id } = await host.client.vm.show({ vm: 'one' });
    assert.ok((await readdir(host.paths.history)).includes(id));
    await host.client.vm.remove({ vm: 'one', force: true });
    await eventually('its history is gone', async () => !(await readdir(host.paths.history)).includes(id));
    await assert.rejects(host.client.stats.show({ vm: 'one' }), { code: 'not_found' });
    await assert.rejects(host.client.stats.show({ sinceMs: 60_000, untilMs: 120_000 }), { code: 'invalid' });
  });
});

describe('alerts', limits, () => {
  test('one that is created, listed, shown, tested, silenced and removed', async () => {
    await using host = await testHost({ qemu: 'fake', env: allowed });
    await using hook = await webhook();
    await host.start();
    const { alert } = host.client;
    const created = await alert.create({
      alert: 'low',
      rule: 'host.storageFreeBytes < 1KiB for 5m',
      to: [hook.url, 'log'],
      severity: 'critical',
    });
    assert.equal(created.name, 'low');
    assert.deepEqual(created.to, [`${hook.url}…`, 'log']);
    assert.deepEqual(await alert.list({}), [created]);
    assert.deepEqual((await alert.show({ alert: 'low' })).firing, []);
    const { deliveries } = await alert.test({ alert: 'low' });
    assert.deepEqual(
      deliveries.map(({ delivered }) => delivered),
      [true, true],
    );
    assert.equal(hook.got[0]?.status, 'test');
    assert.equal(hook.got[0]?.severity, 'critical');
    assert.ok(((await alert.silence({ alert: 'low', durationMs: 60_000 })).silencedUntil ?? 0) > Date.now());
    assert.equal((await alert.silence({ alert: 'low', durationMs: 0 })).silencedUntil, null);
    assert.deepEqual(await alert.remove({ alert: 'low' }), { name: 'low' });
    assert.deepEqual(await alert.list({}), []);
  });

  test('what is wrong is said in one sentence, and nothing is created', async () => {
    await using host = await testHost({ qemu: 'fake' });
    await host.start();
    const { alert } = host.client;
    for (const [input, words] of [
      [{ alert: 'a', rule: 'cpu > 90' }, /"cpu > 90" names no series of a VM.*write it like/],
      [{ alert: 'a', rule: 'cpuPercent > 90 for ever' }, /where a duration such as 30s or 5m is needed/],
      [{ alert: 'a', rule: 'event vm.ended', to: ['smtp://x'] }, /"smtp:\/\/x" is not a destination/],
      [{ alert: 'a', rule: 'event vm.ended', to: ['command:/no/such/program'] }, /\/no\/such\/program cannot be run by the daemon/],
      [{ alert: 'A b', rule: 'event vm.ended' }, /a name is made of/],
      [{ alert: 'a', rule: 'event vm.ended', vms: ['Web!'] }, /the name of a VM is made of/],
    ] as const)
      await assert.rejects(alert.create(structuredClone(input) as never), { code: 'invalid', message: words });
    for (const call of [alert.show, alert.remove, alert.silence, alert.test])
      await assert.rejects(call({ alert: 'nobody' }), { code: 'not_found', message: /no alert nobody; see: viv alert ls/ });
    await alert.create({ alert: 'a', rule: 'event vm.ended' });
    await assert.rejects(alert.create({ alert: 'a', rule: 'event vm.ended' }), { code: 'name_taken' });
    assert.deepEqual(
      (await alert.list({})).map(({ name }) => name),
      ['a'],
    );
  });

  test('a webhook at an address of this host is refused unless it is allowed', async () => {
    await using host = await testHost({ qemu: 'fake' });
    await using hook = await webhook();
    await host.start();
    await host.client.alert.create({ alert: 'a', rule: 'event vm.*', to: [hook.url] });
    const { deliveries } = await host.client.alert.test({ alert: 'a' });
    assert.equal(deliveries[0]?.delivered, false);
    assert.match(deliveries[0]?.detail ?? '', /its address 127.0.0.1 is loopback. Allow it with VIV_OUTGOING_ALLOW/);
    assert.equal(hook.got.length, 0);
  });

  test('an event is delivered once; what fires is, and so is its end; a daemon that is killed in between neither repeats nor loses any', async () => {
    await using host = await testHost({ qemu: 'fake', env: allowed });
    await using hook = await webhook();
    await host.start();
    await host.client.alert.create({ alert: 'gone', rule: 'event vm.removed', to: [hook.url] });
    await host.client.alert.create({ alert: 'many', rule: 'host.runningVms > 0', to: [hook.url] });
    await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes });
    await eventually('it fires', () => hook.got.length === 1);
    await eventually('it was taken off the queue', async () => (await host.client.alert.show({ alert: 'many' })).deliveries.queued === 0);
    hook.answer = 503;
    await host.kill();
    await host.start();
    const { firing } = await host.client.alert.show({ alert: 'many' });
    assert.equal(firing.length, 1);
    await host.client.vm.remove({ vm: 'one', force: true });
    await eventually('the event was tried', () => hook.got.some(({ status }) => status === 'event'));
    await host.kill();
    hook.answer = 200;
    await host.start();
    await eventually('all of it has been delivered', async () => {
      const all = await host.client.alert.list({});
      return (
        all.every(({ firing, deliveries }) => firing.length === 0 && deliveries.queued === 0) &&
        hook.got.some(({ status }) => status === 'resolved')
      );
    });
    const ids = new Map(hook.got.map(({ id, alert, status }) => [id, `${alert} ${status}`]));
    assert.deepEqual([...ids.values()].sort(), ['gone event', 'many firing', 'many resolved']);
    assert.equal(hook.got.filter(({ status }) => status === 'firing').length, 1);
    const types = (await host.client.event.list({ limit: 1000 })).map(({ type }) => type).filter((type) => type.startsWith('alert.'));
    assert.deepEqual(types, ['alert.fired', 'alert.resolved']);
  });

  test('a webhook that hangs holds nothing up: the daemon answers, other alerts are delivered, and it stops at once', async () => {
    await using host = await testHost({ qemu: 'fake', env: allowed });
    await using hanging = await webhook();
    await using hook = await webhook();
    hanging.answer = null;
    await host.start();
    await host.client.alert.create({ alert: 'hangs', rule: 'event alert.*', to: [hanging.url] });
    await host.client.alert.create({ alert: 'stuck', rule: 'host.memoryAvailableBytes > 1', to: [hanging.url] });
    await host.client.alert.create({ alert: 'well', rule: 'host.memoryAvailableBytes > 1', to: [hook.url] });
    await eventually('the other one is delivered', () => hook.got.length === 1 && hanging.got.length >= 1);
    const from = performance.now();
    await host.client.top.show({});
    await host.down();
    assert.ok(performance.now() - from < 5000, `${performance.now() - from} ms`);
  });
});

/** What Prometheus itself has for a query, after it has scraped a Unix socket through a port of this test's. */
async function scraped(apiSocket: string, query: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-prometheus-'));
  const proxy = createServer();
  proxy.on('connection', (socket) => {
    const api = connect(apiSocket);
    socket.pipe(api).pipe(socket);
    for (const end of [socket, api]) end.on('error', () => end.destroy());
  });
  proxy.removeAllListeners('request');
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const target = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await writeFile(
    join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'vivarium', static_configs: [{ targets: [target] }] }],
    }),
  );
  const port = await freePort();
  const prometheus = spawn(
    'prometheus',
    [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const words = text(prometheus.stderr);
  const ended = new Promise((resolve) => prometheus.once('exit', resolve));
  try {
    return await eventually('Prometheus has scraped the metric', async () => {
      const answer = await get(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
      return answer.includes('"value"') ? answer : false;
    });
  } finally {
    prometheus.kill('SIGKILL');
    await ended;
    assert.doesNotMatch(await words, /Error on ingesting|invalid metric/);
    proxy.closeAllConnections();
    proxy.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, (response) => resolve(text(response)))
      .on('error', reject)
      .end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
