// Resource settings: what contradicts itself, and disk limits as they are written and as QEMU takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeDiskLimits, parseDiskLimit } from '../../src/contract/disk-limit.ts';
import { checkResources, ResourceSettings } from '../../src/contract/resource.ts';
import { throttleArguments } from '../../src/resource/disk/throttle.ts';

const MiB = 2 ** 20;
const facts = { cpus: 2, memoryBytes: 512 * MiB, hostCpus: [0, 1, 2, 3], disks: ['root'] };

const refused: readonly [Partial<ResourceSettings>, RegExp][] = [
  [{ cpuLimit: 1, cpuReservation: 2 }, /^web: the CPU limit of 1 is below the reservation of 2; raise the limit or lower the reservation$/],
  [{ cpuReservation: 3 }, /^web: a reservation of 3 CPUs is more than its 2 vCPUs can use$/],
  [{ maxCpus: 8, cpuReservation: 5 }, /^web: a reservation of 5 CPUs is more than the 4 of this host$/],
  [{ cpuBurstMs: 1000 }, /^web: a CPU burst needs a limit that it is spent above; set --cpu-limit too$/],
  [{ cpuLending: true }, /can only be lent above a limit/],
  [{ maxCpus: 1 }, /^web: 2 vCPUs are more than its maximum of 1; raise --max-cpus or give fewer$/],
  [{ memoryMinimumBytes: 600 * MiB }, /^web: the memory minimum of 600 MiB is above the maximum of 512 MiB$/],
  [{ memoryMinimumBytes: 600 * MiB, memoryMaximumBytes: 700 * MiB }, /^web: its memory of 512 MiB is below the minimum of 600 MiB$/],
  [{ memoryMaximumBytes: 256 * MiB }, /^web: its memory of 512 MiB is above the maximum of 256 MiB$/],
  [{ vcpuPins: ['2-4'] }, /^web: the pin 2-4 names CPU 4, and this host has 4 \(0, 1, 2, 3\)$/],
  [{ vcpuPins: ['2=1'] }, /^web: the pin 2=1 names vCPU 2, and it has 2 \(0 to 1\)$/],
  [{ emulatorPin: '9' }, /names CPU 9/],
  [{ diskLimits: ['data0:iops=5'] }, /^web: the limit data0:iops=5 names a disk that it does not have; it has root$/],
  [{ hugepages: true, memoryMaximumBytes: 1024 * MiB }, /huge pages cannot be ballooned/],
  [{ hugepages: true, ksm: true }, /^web: huge pages are not merged; leave hugepages or ksm out$/],
];
for (const [settings, message] of refused)
  test(`refused: ${JSON.stringify(settings)}`, () => {
    assert.throws(() => checkResources('web', ResourceSettings.parse(settings), facts), { message });
  });

test('what does not contradict itself is taken', () => {
  const all = {
    cpuLimit: 1.5,
    cpuReservation: 1,
    cpuBurstMs: 5000,
    cpuLending: true,
    maxCpus: 4,
    memoryMinimumBytes: 256 * MiB,
    memoryMaximumBytes: 1024 * MiB,
    vcpuPins: ['0=1', '2-3'],
    emulatorPin: '0',
    diskLimits: ['root:iops=100'],
  };
  checkResources('web', ResourceSettings.parse(all), facts);
  checkResources('web', ResourceSettings.parse({}), facts);
});

for (const [text, why] of [
  ['iops=5', 'it names no disk'],
  ['root:iops=many', '"many" is not a rate'],
  ['root:speed=5', '"speed=5" is none of iops'],
  ['root:iops=5/4', 'the burst of iops is not above its limit'],
  ['root:iops=5,iops-read=3', '"5,iops-read=3" is not a rate'],
  ['root:iops=0', 'iops is from 1 to'],
  ['root:iops=5/10x9999s', 'a burst lasts from 1s to 3600s'],
] as const)
  test(`not a disk limit: ${text}`, () =>
    assert.throws(
      () => parseDiskLimit(text),
      (error: Error) => error.message.includes(why),
    ));

const limitsOf = (...texts: string[]) => texts.flatMap((text) => parseDiskLimit(text).limit ?? []);

test('as QEMU takes them', () => {
  assert.deepEqual(throttleArguments('root-dev', limitsOf('root:iops=500/2000x10s', 'root:bandwidth-write=1MiB')), {
    ...{ id: 'root-dev', bps: 0, bps_rd: 0, bps_wr: MiB, iops: 500, iops_rd: 0, iops_wr: 0 },
    ...{ iops_max: 2000, iops_max_length: 10, iops_size: 65_536 },
  });
  assert.deepEqual(throttleArguments('root-dev', []), { id: 'root-dev', bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 });
});

test('a change replaces what says something about the same operations of the same disk', () => {
  assert.deepEqual(mergeDiskLimits(['root:iops=1', 'data0:iops=2', 'root:bandwidth=5', 'root:iops-read=3']), [
    'data0:iops=2',
    'root:bandwidth=5',
    'root:iops-read=3',
  ]);
  assert.deepEqual(mergeDiskLimits(['root:iops-read=1', 'root:iops-write=1', 'root:iops=2']), ['root:iops=2']);
  assert.deepEqual(mergeDiskLimits(['root:iops=1', 'root:bandwidth=5', 'root:none']), []);
});
