// What the kernel writes, read as it is; what it does not write is not taken for 0.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isVcpuThread,
  parseCpuTimes,
  parseMemory,
  parseNetDev,
  parsePressure,
  parseSchedstat,
  parseSmapsRollup,
  parseStat,
} from '../../src/resource/measure/proc.ts';
import { known, percent, perSecond } from '../../src/resource/measure/rate.ts';

test('a process’s stat is read past a name that looks like fields', () => {
  const rest = Array.from({ length: 50 }, (_, index) => String(index + 3));
  rest[0] = 'S';
  rest[11] = '150'; // utime
  rest[12] = '50'; // stime
  rest[19] = '12345'; // starttime
  rest[21] = '1000'; // rss
  assert.deepEqual(parseStat(`42 (a) R 1 (b) ${rest.join(' ')}\n`), { cpuSeconds: 2, startTicks: 12345, residentBytes: 4096_000 });
  assert.equal(parseStat(''), null);
  assert.equal(parseStat('42 (qemu) S 1'), null);
});

test('a thread’s schedstat has its time on a CPU and its time without one', () => {
  assert.deepEqual(parseSchedstat('2500000000 500000000 77\n'), { runSeconds: 2.5, waitSeconds: 0.5 });
  assert.equal(parseSchedstat(''), null);
});

test('smaps_rollup gives each process its share of shared pages', () => {
  const text = '00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:  2048 kB\nPss:  512 kB\nPss_Dirty: 9 kB\nSwap: 8 kB\nSwapPss:  4 kB\n';
  assert.deepEqual(parseSmapsRollup(text), { proportionalBytes: 512 * 1024, swapBytes: 4096 });
  assert.equal(parseSmapsRollup('Rss: 1 kB\n'), null);
});

test('pressure without the line for all tasks has no such figure', () => {
  assert.deepEqual(
    parsePressure('some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n'),
    {
      someSeconds: 1.5,
      fullSeconds: 0.5,
    },
  );
  assert.deepEqual(parsePressure('some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n'), { someSeconds: 1.5, fullSeconds: null });
  assert.equal(parsePressure(''), null);
});

test('CPU time is busy time; idle and waiting for disks are not', () => {
  assert.deepEqual(parseCpuTimes('cpu  100 10 50 9999 30 5 5 20 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n'), {
    busySeconds: 1.7,
    ioWaitSeconds: 0.3,
    stealSeconds: 0.2,
  });
  assert.equal(parseCpuTimes('intr 1\n'), null);
});

test('shared memory is no cache that could be dropped', () => {
  const text = [
    'MemTotal: 1000 kB',
    'MemFree: 100 kB',
    'MemAvailable: 400 kB',
    'Buffers: 10 kB',
    'Cached: 300 kB',
    'SReclaimable: 20 kB',
    'Shmem: 130 kB',
  ];
  const swap = ['SwapTotal: 50 kB', 'SwapFree: 40 kB'];
  assert.equal(parseMemory([...text, ...swap, ''].join('\n'))?.cacheBytes, 200 * 1024);
  assert.equal(parseMemory([...text, ''].join('\n')), null);
});

test('interfaces of a namespace are read with what they dropped', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
tabc0:  1000      10    0    2    0     0          0         0     2000      20    0    3    0     0       0          0
`;
  const links = parseNetDev(text);
  assert.deepEqual(links.get('tabc0'), {
    received: { bytes: 1000, packets: 10, dropped: 2 },
    sent: { bytes: 2000, packets: 20, dropped: 3 },
  });
  assert.equal(links.size, 2);
});

test('threads that run guest code are told by their names', () => {
  for (const name of ['CPU 0/KVM', 'CPU 15/TCG', 'ALL CPUs/TCG']) assert.ok(isVcpuThread(name), name);
  for (const name of ['qemu-system-x86', 'IO mon_iothread', 'CPU', 'worker', 'vnc_worker']) assert.ok(!isVcpuThread(name), name);
});

test('a counter that began anew has no rate', () => {
  assert.equal(perSecond(10, 30, 2), 10);
  assert.equal(perSecond(30, 10, 2), undefined);
  assert.equal(perSecond(undefined, 10, 2), undefined);
  assert.equal(perSecond(10, undefined, 2), undefined);
  assert.equal(perSecond(10, 30, 0), undefined);
});

test('a share stays between 0 and 100 and is not known of nothing', () => {
  assert.equal(percent(1.02, 1), 100);
  assert.equal(percent(0.5, 2), 25);
  assert.equal(percent(0.5, 0), undefined);
  assert.equal(percent(undefined, 2), undefined);
});

test('what is not known is left out', () => {
  assert.deepEqual(known({ a: 1, b: undefined, c: Number.NaN, d: 0 }), { a: 1, d: 0 });
});
