// Control groups: what is written for v1 and v2, and on this host's own, where it lets us.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cgroups } from '../../src/resource/cgroup/cgroups.ts';
import { findHierarchies, locate, parseMounts, parseOwnGroups } from '../../src/resource/cgroup/hierarchy.ts';
import { type GroupLimits, layoutFor } from '../../src/resource/cgroup/layout.ts';
import { quotaOf } from '../../src/resource/cpu/quota.ts';

const limits: GroupLimits = { cpuWeight: 300, quota: quotaOf(0.5), vcpuCpus: [1], emulatorCpus: [0], ioWeight: 50, pids: 520 };
const lines = (writes: readonly { file: string; value: string }[]) => writes.map(({ file, value }) => `${file} = ${value}`);

test('mounts and own groups, as v1, v2 and both show them', () => {
  const mountinfo = [
    '30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct',
    '31 25 0:27 /docker/x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
    '32 25 0:28 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw',
    '33 25 0:29 / /proc rw - proc proc rw',
  ].join('\n');
  const own = parseOwnGroups('4:memory:/docker/x/inner\n3:cpu,cpuacct:/a\n0::/user.slice/me\n');
  const { v1, v2 } = locate(parseMounts(mountinfo), own);
  assert.deepEqual(Object.fromEntries(v1), { cpu: '/sys/fs/cgroup/cpu/a', memory: '/sys/fs/cgroup/memory/inner' });
  assert.equal(v2, '/sys/fs/cgroup/unified/user.slice/me');
});

test('v1: a limit holds for the vCPUs alone, everything else for the VM', () => {
  const v1 = new Map([
    ['cpu', '/c/cpu'],
    ['cpuset', '/c/cpuset'],
    ['memory', '/c/memory'],
    ['pids', '/c/pids'],
    ['io', '/c/blkio'],
  ] as const);
  const layout = layoutFor({ v1, v2: null }, 'viv', 2);
  assert.ok(layout);
  assert.deepEqual(layout.missing, []);
  assert.deepEqual(lines(layout.limits('x', limits)), [
    '/c/cpu/viv/x/cpu.shares = 3072',
    '/c/cpu/viv/x/vcpu/cpu.cfs_burst_us = 0',
    '/c/cpu/viv/x/vcpu/cpu.cfs_period_us = 10000',
    '/c/cpu/viv/x/vcpu/cpu.cfs_quota_us = 5000',
    '/c/cpu/viv/x/vcpu/cpu.cfs_burst_us = 5000',
    '/c/cpuset/viv/x/vcpu/cpuset.cpus = 1',
    '/c/cpuset/viv/x/emulator/cpuset.cpus = 0',
    '/c/pids/viv/x/pids.max = 520',
    '/c/blkio/viv/x/blkio.bfq.weight = 50',
  ]);
  assert.deepEqual(layout.processFiles('x'), [
    '/c/cpu/viv/x/emulator/cgroup.procs',
    '/c/cpuset/viv/x/emulator/cgroup.procs',
    '/c/memory/viv/x/cgroup.procs',
    '/c/pids/viv/x/cgroup.procs',
    '/c/blkio/viv/x/cgroup.procs',
  ]);
  assert.deepEqual(layout.vcpuFiles('x'), ['/c/cpu/viv/x/vcpu/tasks', '/c/cpuset/viv/x/vcpu/tasks']);
});

test('v2: the vCPUs are a threaded group', () => {
  const layout = layoutFor({ v1: new Map(), v2: { folder: '/g', controllers: ['cpu', 'cpuset', 'memory', 'pids'] } }, 'viv', 2);
  assert.ok(layout);
  assert.deepEqual(layout.missing, ['ioWeight']);
  assert.deepEqual(lines(layout.topWrites), [
    '/g/cgroup.subtree_control = +cpu +cpuset +memory +pids',
    '/g/viv/cgroup.subtree_control = +cpu +cpuset +memory +pids',
    '/g/viv/cpu.weight = 200',
  ]);
  assert.deepEqual(lines(layout.setup('x')), [
    '/g/viv/x/vcpu/cgroup.type = threaded',
    '/g/viv/x/emulator/cgroup.type = threaded',
    '/g/viv/x/cgroup.subtree_control = +cpu +cpuset',
  ]);
  assert.deepEqual(lines(layout.limits('x', limits)), [
    '/g/viv/x/cpu.weight = 300',
    '/g/viv/x/vcpu/cpu.max.burst = 0',
    '/g/viv/x/vcpu/cpu.max = 5000 10000',
    '/g/viv/x/vcpu/cpu.max.burst = 5000',
    '/g/viv/x/vcpu/cpuset.cpus = 1',
    '/g/viv/x/emulator/cpuset.cpus = 0',
    '/g/viv/x/pids.max = 520',
  ]);
});

test('a v2 tree without a CPU controller is passed over for v1, and no tree is none', () => {
  const v2 = { folder: '/g', controllers: [] };
  assert.deepEqual(layoutFor({ v1: new Map([['cpu', '/c/cpu']]), v2 }, 'viv', 2)?.roots, ['/c/cpu/viv']);
  assert.equal(layoutFor({ v1: new Map(), v2: null }, 'viv', 2), null);
});

const tag = `vivarium-test-${process.pid}`;
const real = process.getuid?.() === 0 ? layoutFor(await findHierarchies(true), tag, 2) : null;

describe('on this host', { skip: real === null && 'it lets this user create no groups' }, () => {
  const cgroups = new Cgroups(real as NonNullable<typeof real>);
  let child: ChildProcess;
  before(() => {
    child = spawn('sleep', ['600']);
  });
  after(async () => {
    child.kill('SIGKILL');
    await cgroups.remove('x');
    await cgroups.removeTops();
  });

  test('a process is in its groups, a limit is there and can be changed and lifted, and nothing is left', async () => {
    const pid = child.pid as number;
    await cgroups.place('x', pid);
    assert.match(await readFile(`/proc/${pid}/cgroup`, 'utf8'), new RegExp(`${tag}/x/emulator`));
    await cgroups.placeVcpus('x', [pid]);
    assert.match(await readFile(`/proc/${pid}/cgroup`, 'utf8'), new RegExp(`${tag}/x/vcpu`));
    const plain = { ...limits, vcpuCpus: null, emulatorCpus: null, ioWeight: 100 };
    for (const limit of [0.5, 0.1, 1.5, null, 0.02])
      assert.deepEqual(
        (await cgroups.apply('x', { ...plain, quota: quotaOf(limit) })).filter((line) => /cpu/.test(line)),
        [],
        `${limit}`,
      );
    assert.deepEqual((await cgroups.throttling('x'))?.throttledPeriods, 0);
    assert.deepEqual(await cgroups.list(), ['x']);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
    assert.equal(await cgroups.remove('x'), true);
    await cgroups.removeTops();
    assert.deepEqual(
      cgroups.layout.roots.filter((top) => existsSync(join(top, 'x')) || existsSync(top)),
      [],
    );
  });
});
