// `viv top`, `viv stats` and `viv alert` as a user has them: what is drawn, in which order, and that the terminal is given back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spawn } from '@lydell/node-pty';
import { measured, sparkline } from '../../src/cli/render/measured.ts';
import { historyTable } from '../../src/cli/render/stats.ts';
import { topLines } from '../../src/cli/top/draw.ts';
import { ordered } from '../../src/cli/top/order.ts';
import type { Top, VmUse } from '../../src/contract/top.ts';
import { fakeServer } from './fake-server.ts';
import { cleanEnv, entry, viv } from './run-viv.ts';

const MiB = 2 ** 20;

const vm = (name: string, values: VmUse['values'], more: Partial<VmUse> = {}): VmUse => ({
  ...{ id: name, name, state: 'running', cpus: 1, memoryBytes: 256 * MiB, values, recentCpuPercent: [0, 50, 100] },
  ...more,
});

const top: Top = {
  at: 0,
  host: {
    cpus: 4,
    memoryBytes: 8192 * MiB,
    values: { cpuPercent: 37.5, load: 1.25, memoryUsedBytes: 2048 * MiB, memoryAvailableBytes: 6000 * MiB, cpuPressurePercent: 3 },
    recentCpuPercent: [10, null, 90],
  },
  vms: [
    vm('off', {}, { state: 'stopped', recentCpuPercent: [] }),
    vm('db', { cpuCores: 0.1, cpuPercent: 10, proportionalBytes: 900 * MiB, diskReadBytesPerSecond: 0, diskWriteBytesPerSecond: 5 * MiB }),
    vm('web', { cpuCores: 0.9, cpuPercent: 90, proportionalBytes: 100 * MiB, stealCores: 0.05 }),
    vm(
      'app',
      { cpuCores: 0.9, cpuPercent: 45, residentBytes: 120 * MiB, networkReceiveBytesPerSecond: 10, networkSendBytesPerSecond: 20 },
      { cpus: 2 },
    ),
  ],
};
const names = (vms: readonly VmUse[]) => vms.map(({ name }) => name).join(' ');

test('VMs are in the order that is asked for, the largest first, and those of which it is not known last', () => {
  assert.equal(names(ordered(top.vms, 'cpu', false)), 'app web db off');
  assert.equal(names(ordered(top.vms, 'memory', false)), 'db app web off');
  assert.equal(names(ordered(top.vms, 'disk', false)), 'db app off web');
  assert.equal(names(ordered(top.vms, 'network', false)), 'app db off web');
  assert.equal(names(ordered(top.vms, 'name', false)), 'app db off web');
  assert.equal(names(ordered(top.vms, 'name', true)), 'web off db app');
});

test('what is not known is drawn as a dash, never as 0', () => {
  const lines = topLines(top, { order: 'cpu', reverse: false, width: undefined, rows: undefined });
  const off = lines.find((line) => line.startsWith('off')) ?? assert.fail();
  assert.ok(!off.includes('0'), off);
  assert.match(lines[0] ?? '', /CPU 38% of 4 .*waiting: CPU 3.0%, memory -, disk -/);
  assert.match(lines[1] ?? '', /2 GiB used, - cache, 5.9 GiB available of 8 GiB.*3 running of 4/);
});

test('it fits the terminal, whatever its size, and says how many are hidden', () => {
  const many = { ...top, vms: Array.from({ length: 50 }, (_, index) => vm(`vm${index}`, { cpuCores: index })) };
  for (const [width, rows] of [
    [80, 24],
    [40, 10],
    [200, 60],
    [20, 3],
  ] as const) {
    const lines = topLines(many, { order: 'cpu', reverse: false, width, rows });
    assert.ok(lines.length <= Math.max(rows, 5), `${lines.length} lines in ${rows}`);
  }
  const lines = topLines(many, { order: 'cpu', reverse: false, width: 80, rows: 24 });
  assert.equal(lines.at(-1), '… 31 more');
  assert.ok(lines[4]?.startsWith('vm49'));
});

test('sparklines are as wide as asked for, with blanks where nothing was known', () => {
  assert.equal(sparkline([0, 50, 100, null, 200], 100, 6), ' ▁▅█ █');
  assert.equal(sparkline([0, 0, 100, 100], 100, 2), '██');
  assert.equal(measured(0, 'percent'), '0.0%');
  assert.equal(measured(null, 'percent'), '-');
});

test('the history leaves out what was not known at all', () => {
  const history = {
    vm: { id: 'a', name: 'web' },
    stepMs: 1000,
    at: [1000, 2000, 3000],
    mean: { cpuPercent: [10, null, 30], guestUsedBytes: [null, null, MiB] },
    max: { cpuPercent: [20, null, 40] },
  };
  const lines = historyTable(history, false, undefined);
  assert.equal(lines.length, 3);
  assert.match(lines[1] ?? '', /10% .* - /);
  assert.match(lines[2] ?? '', /30%.*1 MiB/);
  assert.match(historyTable(history, true, undefined)[1] ?? '', /20%/);
});

test('viv top --once prints text, --json exactly what the API returned', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/top', () => top);
  const once = await viv(server.stateDirectory, ['top', '--once', '--sort', 'memory']);
  assert.equal(once.code, 0);
  assert.ok(once.stdout.indexOf('\ndb ') < once.stdout.indexOf('\nweb '));
  assert.ok(!once.stdout.includes('\u001b'));
  const json = await viv(server.stateDirectory, ['top', '--json', '--once']);
  assert.deepEqual(JSON.parse(json.stdout), top);
  assert.equal((await viv(server.stateDirectory, ['top', '--sort', 'luck'])).code, 2);
});

test('on a terminal it fills the screen, sorts by keys, and gives the terminal back', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/top', () => top);
  const pty = spawn(process.execPath, [entry, 'top'], { cols: 120, rows: 20, env: { ...cleanEnv(server.stateDirectory), TERM: 'xterm' } });
  let shown = '';
  const waiting = new Set<() => void>();
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  pty.onData((data) => {
    shown += data;
    for (const look of waiting) look();
  });
  /** Resolves when it has shown this since `shown` was emptied. */
  const shows = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${pattern} was not shown in ${JSON.stringify(shown)}`)), 60_000);
      const look = () => {
        if (!pattern.test(shown)) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  await shows(/\u001b\[\?1049h[\s\S]*app .*[\s\S]*web .*[\s\S]*db .*[\s\S]*q quit/);
  shown = '';
  pty.write('m');
  await shows(/\u001b\[Hdb |db [\s\S]*app [\s\S]*web /);
  shown = '';
  pty.write('q');
  assert.equal(await ended, 0);
  assert.match(shown, /\u001b\[\?25h\u001b\[\?1049l/);
});

test('viv stats and viv alert pass on what was typed', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/stats', () => ({ vm: null, stepMs: 1000, at: [1000], mean: { cpuPercent: [5] }, max: { cpuPercent: [7] } }));
  const { stdout } = await viv(server.stateDirectory, ['stats', 'web', '--since', '2h']);
  assert.match(stdout, /TIME .*CPU/);
  assert.deepEqual(Object.fromEntries(server.asked.at(-1)?.query ?? []), { vm: 'web', sinceMs: '7200000', points: '24' });
  await viv(server.stateDirectory, ['stats', '--json']);
  assert.deepEqual(Object.fromEntries(server.asked.at(-1)?.query ?? []), {});

  const wrong = await viv(server.stateDirectory, ['alert', 'create', 'busy', 'cpu > 90']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /the rule "cpu > 90" names no series of a VM: "cpu".*write it like "cpuPercent > 90 for 5m"/);
  assert.equal(wrong.stderr.trim().split('\n').length, 1);

  server.on('POST /v1/alerts/busy/test', () => ({
    name: 'busy',
    deliveries: [{ to: 'https://x/…', delivered: false, detail: 'answered 500', durationMs: 12 }],
  }));
  const tried = await viv(server.stateDirectory, ['alert', 'test', 'busy']);
  assert.equal(tried.code, 1);
  assert.equal(tried.stdout, 'https://x/…: FAILED in 12ms: answered 500\n');
});
