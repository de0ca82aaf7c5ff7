// Resource settings over fake QEMU: what is put into force, changed while it runs, inherited, refused, and removed with the VM.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { connectQmp } from '../../src/qemu/qmp.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';
import { groupFolders } from './vm-groups.ts';

const MiB = 2 ** 20;
const isRoot = process.getuid?.() === 0;

describe('resource settings', () => {
  let host: TestHost;
  const control = (what: object) => writeFile(join(host.stateDirectory, 'fake-qemu.json'), JSON.stringify(what), { mode: 0o644 });
  /** What its QEMU was told of limits. */
  const told = async (id: string) => {
    const qmp = await connectQmp(host.paths.vm(id).qmp, { timeoutMs: 5000 });
    const limits = (await qmp.execute('x-limits')) as {
      throttles: Record<string, Record<string, number>>;
      balloonBytes: number;
      cpus: number;
    };
    qmp.close();
    return limits;
  };
  const group = async (id: string, ending: string) =>
    (await groupFolders(host.stateDirectory)).find(
      (folder) => folder.endsWith(`/${id}${ending}`) && /\/(cpu|unified|cgroup)\//.test(folder),
    );
  const quotaOf = async (id: string) => {
    const folder = (await group(id, '/vcpu')) ?? '';
    return (await readFile(join(folder, 'cpu.cfs_quota_us'), 'utf8').catch(() => readFile(join(folder, 'cpu.max'), 'utf8'))).trim();
  };

  before(async () => {
    host = await testHost({ qemu: 'fake' });
    await host.start();
  });
  after(() => host[Symbol.asyncDispose]());
  afterEach(async () => {
    await control({});
    for (const { name } of await host.client.vm.list({})) await host.client.vm.remove({ vm: name, force: true });
    await eventually('groups go', async () =>
      assert.deepEqual(
        (await groupFolders(host.stateDirectory)).filter((folder) => /\/(vcpu|emulator)$/.test(folder)),
        [],
        'groups go with their VMs',
      ),
    );
  });

  test('limits are in force when it runs, and changed while it does', async () => {
    const { id } = await host.client.vm.run({
      image: 'tiny',
      name: 'web',
      cpuLimit: 0.5,
      diskLimits: ['root:iops=100/200x5s'],
      memoryBytes: 256 * MiB,
      memoryMaximumBytes: 512 * MiB,
    });
    const shown = await host.client.vm.show({ vm: 'web' });
    assert.equal(shown.resources.cpuLimit, 0.5);
    assert.equal(shown.resourceUse?.cpuLimitNow, 0.5);
    await eventually('the balloon is set', async () => assert.equal((await told(id)).balloonBytes, 256 * MiB));
    assert.deepEqual((await told(id)).throttles['root-dev']?.['iops_max'], 200);
    if (isRoot) assert.match(await quotaOf(id), /^5000\b/);
    const { applied, atNextStart } = await host.client.vm.set({
      vm: 'web',
      cpuLimit: 1.5,
      diskLimits: ['root:none'],
      memoryBytes: 384 * MiB,
      ksm: true,
    });
    assert.deepEqual([applied.sort(), atNextStart], [['cpuLimit', 'diskLimits', 'memoryBytes'], ['ksm']]);
    assert.equal((await told(id)).balloonBytes, 384 * MiB);
    assert.deepEqual((await told(id)).throttles['root-dev']?.['iops'], 0);
    if (isRoot) {
      await host.client.vm.show({ vm: 'web' });
      assert.match(await quotaOf(id), /^15000\b/);
    }
  });

  test('vCPUs are plugged in up to the maximum; fewer come with the next start', async () => {
    const { id } = await host.client.vm.run({ image: 'tiny', name: 'web', cpus: 2, maxCpus: 4 });
    assert.equal((await told(id)).cpus, 2);
    assert.deepEqual((await host.client.vm.set({ vm: 'web', cpus: 3 })).applied, ['cpus']);
    assert.equal((await told(id)).cpus, 3);
    assert.deepEqual((await host.client.vm.set({ vm: 'web', cpus: 1 })).atNextStart, ['cpus']);
    await assert.rejects(host.client.vm.set({ vm: 'web', cpus: 5 }), /^VivError: web: 5 vCPUs are more than its maximum of 4/);
    assert.equal((await told(id)).cpus, 3);
  });

  test('a fork has the settings of its parent, in force', { skip: !isRoot && 'only root has groups here' }, async () => {
    await host.client.vm.create({ image: 'tiny', name: 'web', cpuLimit: 0.25, cpuWeight: 200, diskLimits: ['root:iops=50'] });
    const [fork] = await host.client.vm.fork({ vm: 'web', name: 'copy' });
    assert.ok(fork);
    await host.client.vm.start({ vm: 'copy' });
    assert.equal((await host.client.vm.show({ vm: 'copy' })).resources.cpuWeight, 200);
    assert.match(await quotaOf(fork.id), /^2500\b/);
    assert.equal((await told(fork.id)).throttles['root-dev']?.['iops'], 50);
  });

  test('limits survive the daemon', async () => {
    const { id } = await host.client.vm.run({ image: 'tiny', name: 'web', cpuLimit: 0.5, diskLimits: ['root:iops=50'] });
    await host.client.vm.show({ vm: 'web' });
    await host.kill();
    await host.start();
    await eventually('it is so', async () => assert.equal((await host.client.vm.show({ vm: 'web' })).resourceUse?.cpuLimitNow, 0.5));
    assert.equal((await told(id)).throttles['root-dev']?.['iops'], 50);
    assert.equal((await host.client.vm.set({ vm: 'web', cpuLimit: 0 })).applied[0], 'cpuLimit');
    assert.equal((await host.client.vm.show({ vm: 'web' })).resourceUse?.cpuLimitNow, null);
  });

  test('a QEMU that refuses limits runs, and the refusal is an event', async () => {
    await control({ refuse: { block_set_io_throttle: 'no such device' } });
    await host.client.vm.run({ image: 'tiny', name: 'web', diskLimits: ['root:iops=50'] });
    await host.happened('vm.problem', { name: 'web' });
    assert.equal((await host.client.vm.show({ vm: 'web' })).state, 'running');
    const events = await host.client.event.list({ type: 'vm' });
    assert.ok(
      events.some(({ message }) => /limits could not be put into force: QEMU refused block_set_io_throttle: no such device/.test(message)),
    );
    await assert.rejects(host.client.vm.set({ vm: 'web', diskLimits: ['root:iops=60'] }), /no such device/);
  });

  test('what contradicts itself changes nothing', async () => {
    await assert.rejects(
      host.client.vm.create({ image: 'tiny', name: 'web', cpuLimit: 1, cpuReservation: 2, cpus: 2 }),
      /below the reservation/,
    );
    assert.deepEqual(await host.client.vm.list({}), []);
    await host.client.vm.run({ image: 'tiny', name: 'web', cpuLimit: 1 });
    for (const change of [
      { cpuReservation: 1.5 },
      { cpuLimit: 0, cpuBurstMs: 5 },
      { vcpuPins: ['4000'] },
      { memoryMinimumBytes: 2 ** 40 },
      { memoryMaximumBytes: 32 * MiB },
      { memoryMaximumBytes: 256 * MiB, memoryMinimumBytes: 512 * MiB },
      { maxCpus: 2, cpus: 3 },
      { vcpuPins: ['7=0'] },
      { emulatorPin: '4000' },
      { cpuReservation: 200, cpuLimit: 0 },
      { hugepages: true, ksm: true },
      { diskLimits: ['data9:iops=1'] },
    ])
      await assert.rejects(
        host.client.vm.set({ vm: 'web', ...change }),
        (error: Error & { code: string }) => error.code === 'invalid' && /^web: /.test(error.message),
      );
    const { resources } = await host.client.vm.show({ vm: 'web' });
    assert.deepEqual([resources.cpuLimit, resources.cpuReservation, resources.cpuBurstMs, resources.vcpuPins], [1, 0, 0, []]);
  });

  test('pages are merged within one project only', async () => {
    const { client } = host;
    for (const project of ['blue', 'red']) await client.project.create({ project });
    await client.vm.run({ image: 'tiny', name: 'one', project: 'blue', ksm: true });
    await client.vm.run({ image: 'tiny', name: 'two', project: 'blue', ksm: true });
    await client.vm.create({ image: 'tiny', name: 'other', project: 'red', ksm: true });
    const refused = { code: 'in_use', message: /^cannot start other: page merging \(ksm\) is in use by 2 VMs of another project/ };
    await assert.rejects(client.vm.start({ vm: 'other' }), refused);
    assert.equal((await client.vm.show({ vm: 'other' })).state, 'stopped');
    for (const vm of ['one', 'two']) await client.vm.stop({ vm, force: true });
    // Two owners at once: neither may share with the other.
    const both = await Promise.allSettled(['one', 'other'].map((vm) => client.vm.start({ vm })));
    assert.ok(both.filter(({ status }) => status === 'fulfilled').length <= 1);
    for (const vm of ['one', 'two', 'other']) await client.vm.remove({ vm, force: true });
    await client.vm.run({ image: 'tiny', name: 'last', project: 'red', ksm: true });
  });

  test('a start that the host cannot honour is refused with the arithmetic', async () => {
    const { memory } = await host.client.host.show({});
    const half = Math.floor(memory.totalBytes / 2 / MiB) * MiB;
    await host.client.vm.run({ image: 'tiny', name: 'one', memoryBytes: 64 * MiB, memoryMaximumBytes: half });
    await host.client.vm.create({ image: 'tiny', name: 'two', memoryBytes: memory.totalBytes, memoryMinimumBytes: memory.totalBytes });
    await assert.rejects(
      host.client.vm.start({ vm: 'two' }),
      /^VivError: cannot start two: it reserves [\d.]+ GiB, 0 bytes are reserved by 1 running VM, and the host can reserve [\d.]+ GiB \([\d.]+ GiB less [\d.]+ (GiB|MiB) for itself\)/,
    );
    await host.client.vm.create({ image: 'tiny', name: 'three', memoryBytes: memory.totalBytes * 3 });
    await assert.rejects(host.client.vm.start({ vm: 'three' }), /times the overcommit ratio of 2\)/);
    const { capacity } = await host.client.host.show({});
    assert.equal(capacity.givenBytes, 64 * MiB);
    assert.equal(capacity.more.find(({ like }) => like === 'two')?.count, 0);
    assert.ok((capacity.more.find(({ like }) => like === 'one')?.count ?? 0) > 0);
  });

  test('a guest that is short of memory is given some, and explain says why', async () => {
    await control({ guestMemory: { available: 4 * MiB, total: 256 * MiB } });
    const { id } = await host.client.vm.run({
      image: 'tiny',
      name: 'web',
      memoryBytes: 256 * MiB,
      memoryMinimumBytes: 128 * MiB,
      memoryMaximumBytes: 512 * MiB,
    });
    await host.happened('governor.memory-given', { name: 'web' });
    assert.equal((await told(id)).balloonBytes, 384 * MiB);
    const { holds, decisions, observed } = await host.client.vm.explain({ vm: 'web' });
    assert.ok(holds.includes('its memory is between 128 MiB and 512 MiB, with weight 100'), holds.join('; '));
    assert.match(
      decisions[0]?.message ?? '',
      /^web was given 128 MiB of memory, 256 MiB to 384 MiB: guest is short of memory \(guest available 4 MiB, /,
    );
    assert.ok((observed?.memoryBytes ?? 0) >= 256 * MiB);
    assert.deepEqual(await host.client.event.list({ type: 'governor.cpu-lent' }), []);
  });

  test('credits are shown, and a limit is lifted while there are some', async () => {
    await host.client.vm.run({ image: 'tiny', name: 'web', cpuLimit: 0.5, cpuBurstMs: 60_000 });
    const { resourceUse } = await host.client.vm.show({ vm: 'web' });
    assert.equal(resourceUse?.cpuLimitNow, null);
    assert.ok((resourceUse?.cpuCreditMs ?? 0) > 50_000);
  });
});
