// The enforcer over a real process: without control groups, as an ordinary user has it; pins; balances over a restart.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pino from 'pino';
import { ResourceSettings } from '../../src/contract/resource.ts';
import { systemClock } from '../../src/host/clock.ts';
import { Enforcer } from '../../src/resource/enforcer.ts';

let folder: string;
let child: ChildProcess;
const open = () =>
  Enforcer.open({
    stateDirectory: folder,
    isRoot: false,
    creditFile: join(folder, 'credits.json'),
    clock: systemClock,
    log: pino({ level: 'silent' }),
  });
const vm = (settings: Partial<ResourceSettings>) => {
  const pid = child.pid as number;
  return { id: 'x', pid, vcpuThreads: [pid], settings: ResourceSettings.parse(settings), memoryBytes: 2 ** 26 };
};
const allowed = async () => /^Cpus_allowed_list:\s+(\S+)$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-enforcer-'));
  child = spawn('sleep', ['600']);
});
after(async () => {
  child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

test('without groups a weight is a nice value, pins hold, and the rest is listed', async () => {
  const enforcer = await open();
  const everywhere = await allowed();
  await enforcer.enforce(vm({ cpuWeight: 33, cpuLimit: 0.5, vcpuPins: ['0'] }));
  assert.equal(getPriority(child.pid), 5);
  assert.equal(await allowed(), '0');
  const listed = enforcer.use('x')?.notEnforced ?? [];
  assert.deepEqual(
    listed.map((line) => line.slice(0, line.indexOf(':'))).sort(),
    ['cpuLimit', 'memory accounting', 'pids limit'],
    'what was not asked for is not missed',
  );
  assert.match(listed.find((line) => line.startsWith('cpuLimit')) ?? '', /this user may create no control groups on this host/);
  await enforcer.enforce(vm({ cpuWeight: 33 }));
  assert.equal(await allowed(), everywhere, 'unpinned again');
  await enforcer.stop();
});

test('the balance of credits outlives the daemon, and does not grow by it', async () => {
  const first = await open();
  await first.enforce(vm({ cpuLimit: 0.5, cpuBurstMs: 10_000 }));
  assert.deepEqual([first.use('x')?.creditMs, first.use('x')?.limitNow], [10_000, null]);
  await first.stop();
  const next = await open();
  await next.enforce(vm({ cpuLimit: 0.5, cpuBurstMs: 60_000 }));
  const credit = next.use('x')?.creditMs ?? 0;
  assert.ok(credit >= 10_000 && credit < 20_000, `${credit}`);
  await next.remove('x', child.pid as number);
  assert.equal(next.use('x'), null);
  await next.stop();
});

test('a limit that is lent is above its own, and never below', async () => {
  const enforcer = await open();
  await enforcer.enforce(vm({ cpuLimit: 0.5 }));
  await enforcer.lend('x', 0.8);
  assert.equal(enforcer.use('x')?.limitNow, 0.8);
  await enforcer.lend('x', 0.2);
  assert.equal(enforcer.use('x')?.limitNow, 0.5);
  await enforcer.lend('x', null);
  assert.equal(enforcer.use('x')?.limitNow, 0.5);
  await enforcer.stop();
});
