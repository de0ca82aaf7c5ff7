// The memory that control groups leave: which groups count, what is left of one, and a real one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { groupsAbove, memoryOfGroup, narrowest } from '../../src/host/system/group-memory.ts';

const GiB = 2 ** 30;
const v1 =
  '30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const v2 = '30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n';

test('with version 1 every group from the own to the top counts', () => {
  assert.deepEqual(groupsAbove(v1, '4:memory:/system.slice/viv\n0::/\n', true), {
    version: 1,
    folders: ['/sys/fs/cgroup/memory/system.slice/viv', '/sys/fs/cgroup/memory/system.slice', '/sys/fs/cgroup/memory'],
  });
});

test('with version 2 those count that the groups of VMs are below', () => {
  const own = '0::/user.slice/user-1000.slice/viv.service\n';
  assert.deepEqual(groupsAbove(v2, own, true)?.folders, ['/sys/fs/cgroup']);
  assert.deepEqual(groupsAbove(v2, own, false)?.folders, [
    '/sys/fs/cgroup/user.slice/user-1000.slice',
    '/sys/fs/cgroup/user.slice',
    '/sys/fs/cgroup',
  ]);
  assert.equal(groupsAbove('', own, true), null);
});

test('a group without a limit leaves everything; page cache does not count as used', () => {
  assert.equal(memoryOfGroup(1, { limit: '9223372036854771712\n', used: '5', stat: '' }), null);
  assert.equal(memoryOfGroup(2, { limit: 'max\n', used: '5', stat: '' }), null);
  assert.deepEqual(memoryOfGroup(2, { limit: `${4 * GiB}\n`, used: `${3 * GiB}\n`, stat: `anon 1\ninactive_file ${GiB}\n` }), {
    totalBytes: 4 * GiB,
    availableBytes: 2 * GiB,
  });
  assert.deepEqual(memoryOfGroup(1, { limit: `${GiB}`, used: `${2 * GiB}`, stat: '' }), { totalBytes: GiB, availableBytes: 0 });
});

test('the narrowest limit counts for each figure', () => {
  assert.deepEqual(
    narrowest([
      { totalBytes: 8, availableBytes: 2 },
      { totalBytes: 4, availableBytes: 3 },
    ]),
    { totalBytes: 4, availableBytes: 2 },
  );
});

const top = '/sys/fs/cgroup/memory';
const canGroup = process.getuid?.() === 0 && existsSync(`${top}/memory.limit_in_bytes`);

test('a process in a group of 256 MiB has 256 MiB', { skip: !canGroup && 'needs root and control groups of version 1' }, () => {
  const group = `${top}/viv-test-${randomUUID().slice(0, 8)}`;
  mkdirSync(group);
  try {
    writeFileSync(`${group}/memory.limit_in_bytes`, String(256 * 2 ** 20));
    const script = `import { measureMemory } from ${JSON.stringify(fileURLToPath(new URL('../../src/host/system/memory.ts', import.meta.url)))}; console.log(JSON.stringify(await measureMemory()));`;
    const run = `echo $$ > ${group}/cgroup.procs && exec "$0" --input-type=module --disable-warning=ExperimentalWarning --eval "$1"`;
    const { totalBytes, availableBytes } = JSON.parse(execFileSync('sh', ['-c', run, process.execPath, script], { encoding: 'utf8' }));
    assert.equal(totalBytes, 256 * 2 ** 20);
    assert.ok(availableBytes > 0 && availableBytes < totalBytes);
  } finally {
    rmdirSync(group);
  }
});
