// The governor's policy: as tables, and over generated traces of a simulated host.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Decision,
  type GovernorState,
  initialState,
  type ObservedHost,
  type ObservedVm,
  reversalMs,
} from '../../src/resource/governor/model.ts';
import { decideStep } from '../../src/resource/governor/policy.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const stepMs = 5000;

const host = (change: Partial<ObservedHost> = {}): ObservedHost => ({
  totalBytes: 16 * GiB,
  availableBytes: 8 * GiB,
  reserveBytes: GiB,
  pressure: { some: 0, full: 0 },
  cpus: 4,
  idle: 0.2,
  warmPoolBytes: 0,
  ...change,
});

const vm = (
  name: string,
  {
    cpu,
    memory,
    ...rest
  }: { cpu?: Partial<ObservedVm['cpu']>; memory?: Partial<ObservedVm['memory']> } & Partial<Omit<ObservedVm, 'cpu' | 'memory'>> = {},
): ObservedVm => ({
  id: name,
  name,
  cpu: { vcpus: 2, limit: null, lending: false, used: 0.5, throttled: 0, ...cpu },
  memory: {
    nominalBytes: 2 * GiB,
    minimumBytes: GiB,
    maximumBytes: 4 * GiB,
    currentBytes: 2 * GiB,
    weight: 100,
    guest: { totalBytes: 2 * GiB, availableBytes: 0.22 * 2 * GiB, cacheBytes: 0.2 * GiB, majorFaultsPerSecond: 0 },
    pressure: null,
    ...memory,
  },
  idleMs: 0,
  suspendable: true,
  ...rest,
});
const guest = (availableBytes: number) => ({ totalBytes: 2 * GiB, availableBytes, cacheBytes: 0, majorFaultsPerSecond: 0 });
const brief = (decisions: readonly Decision[]) =>
  decisions.map((decision) =>
    decision.kind === 'memory'
      ? `${decision.vm} ${Math.round(decision.fromBytes / MiB)}->${Math.round(decision.toBytes / MiB)}: ${decision.reason}`
      : decision.kind === 'cpu'
        ? `${decision.vm} ${decision.from}->${decision.to}: ${decision.reason}`
        : decision.kind === 'warm-pool'
          ? `warm pools -${Math.round(decision.freeBytes / MiB)}: ${decision.reason}`
          : `suspend ${decision.vm}: ${decision.reason}`,
  );

const table: readonly [title: string, host: Partial<ObservedHost>, vms: ObservedVm[], expected: string[]][] = [
  ['nothing happens while nobody is short', {}, [vm('a'), vm('b')], []],
  [
    'a short guest is given a quarter more',
    {},
    [vm('a', { memory: { guest: guest(100 * MiB) } })],
    ['a 2048->2560: guest is short of memory'],
  ],
  [
    'a guest whose programs wait for memory is short although a fifth is available',
    {},
    [vm('a', { memory: { guest: guest(410 * MiB), pressure: 20 } }), vm('b', { memory: { guest: guest(410 * MiB), pressure: 5 } })],
    ['a 2048->2560: guest is short of memory'],
  ],
  [
    'never above its maximum',
    {},
    [vm('a', { memory: { guest: guest(10 * MiB), maximumBytes: 2.1 * GiB } })],
    ['a 2048->2150: guest is short of memory'],
  ],
  [
    'a guest without a balloon driver is left alone',
    { availableBytes: 100 * MiB },
    [vm('a', { memory: { guest: null }, suspendable: false })],
    [],
  ],
  [
    'the heavier of two short guests is given first when little is left',
    { availableBytes: GiB + 300 * MiB },
    [vm('light', { memory: { guest: guest(100 * MiB), weight: 50 } }), vm('heavy', { memory: { guest: guest(100 * MiB), weight: 200 } })],
    ['heavy 2048->2348: guest is short of memory'],
  ],
  [
    'an idle guest gives to a short one when the host has nothing left',
    { availableBytes: GiB },
    [vm('short', { memory: { guest: guest(100 * MiB) } }), vm('rich', { memory: { guest: guest(1.5 * GiB) } })],
    ['rich 2048->1792: others are short of memory'],
  ],
  [
    'page cache is taken when the host is below its reserve, an eighth at a time at most',
    { availableBytes: 0.9 * GiB },
    [vm('a', { memory: { guest: guest(GiB) } })],
    ['a 2048->1946: host is below its reserve'],
  ],
  [
    'what was taken is given back when the host has memory free',
    {},
    [vm('a', { memory: { currentBytes: 1.5 * GiB } })],
    ['a 1536->2048: host has memory free'],
  ],
  [
    'warm pools go before guests',
    { availableBytes: 0.8 * GiB, warmPoolBytes: GiB },
    [vm('a', { memory: { guest: guest(GiB) } })],
    ['warm pools -205: host is below its reserve'],
  ],
  [
    'in trouble guests give all that they do not use',
    { availableBytes: 0.2 * GiB, reserveBytes: 2 * GiB },
    [
      vm('busy', { memory: { guest: guest(300 * MiB), minimumBytes: 1.95 * GiB } }),
      vm('idle', { idleMs: 400_000, memory: { guest: guest(0.3 * GiB) } }),
    ],
    ['idle 2048->1789: host is below its reserve', 'busy 2048->1997: host is below its reserve'],
  ],
  [
    'bounds that were changed are put right at once',
    {},
    [vm('a', { memory: { maximumBytes: 1.5 * GiB } })],
    ['a 2048->1536: above its maximum'],
  ],
];
for (const [title, hostChange, vms, expected] of table)
  test(title, () => assert.deepEqual(brief(decideStep(host(hostChange), vms, initialState, 0).decisions), expected));

test('a VM is suspended last, the least weight first, and only after the host has been in trouble for three steps', () => {
  const vms = [vm('keep', { memory: { guest: null, weight: 200 } }), vm('drop', { memory: { guest: null, weight: 50 } })];
  let state = initialState;
  const said: string[][] = [];
  for (let step = 0; step < 3; step++) {
    const next = decideStep(host({ availableBytes: 100 * MiB }), vms, state, step * stepMs);
    state = next.state;
    said.push(brief(next.decisions));
  }
  assert.deepEqual(said, [[], [], ['suspend drop: host is in trouble']]);
});

test('CPU is lent while the host is idle and taken back at once, and then not lent again for a minute', () => {
  const limited = vm('a', { cpu: { limit: 0.5, lending: true, throttled: 0.5 } });
  const hard = vm('b', { cpu: { limit: 0.5, throttled: 0.5 } });
  let state: GovernorState = initialState;
  const at = (seconds: number, idle: number) => {
    const next = decideStep(host({ idle }), [limited, hard], state, seconds * 1000);
    state = next.state;
    return brief(next.decisions);
  };
  assert.deepEqual([at(0, 0.8), at(5, 0.8), at(10, 0.8)], [[], [], ['a 0.5->2: host is idle']]);
  assert.deepEqual(at(15, 0.05), ['a 2->0.5: host is busy']);
  assert.deepEqual(
    [20, 25, 30, 35, 70].flatMap((seconds) => at(seconds, 0.9)),
    [],
  );
  assert.deepEqual(at(76, 0.9), ['a 0.5->2: host is idle']);
});

interface Guest {
  needBytes: number;
  driver: boolean;
}

/** A host whose guests use what they need and fill the rest with page cache, and whose balloons follow within a step. */
function simulate(guests: readonly Guest[], needs: (step: number, nth: number) => number, steps: number) {
  const totalBytes = 8 * GiB;
  const memory = guests.map(() => ({
    minimumBytes: 512 * MiB,
    maximumBytes: 4 * GiB,
    nominalBytes: 2 * GiB,
    currentBytes: 2 * GiB,
    weight: 100,
  }));
  let state: GovernorState = initialState;
  const history: { step: number; decisions: readonly Decision[] }[] = [];
  for (let step = 0; step < steps; step++) {
    const used = memory.map(({ currentBytes }, nth) =>
      Math.min(currentBytes, needs(step, nth) + 0.5 * Math.max(0, currentBytes - needs(step, nth))),
    );
    const observed = guests.map(({ driver }, nth) => {
      const own = memory[nth] as (typeof memory)[number];
      const available = Math.max(0, own.currentBytes - needs(step, nth));
      return vm(`vm${nth}`, {
        suspendable: false,
        memory: { ...own, guest: driver ? { ...guest(available), totalBytes: own.currentBytes } : null },
      });
    });
    const availableBytes = Math.max(0, totalBytes - used.reduce((sum, bytes) => sum + bytes, 0));
    const next = decideStep(host({ totalBytes, availableBytes, reserveBytes: GiB / 2 }), observed, state, step * stepMs);
    state = next.state;
    history.push({ step, decisions: next.decisions });
    for (const decision of next.decisions)
      if (decision.kind === 'memory') (memory[Number(decision.vm.slice(2))] as (typeof memory)[number]).currentBytes = decision.toBytes;
  }
  return { history, memory };
}

const anyGuests = fc.array(fc.record({ needBytes: fc.integer({ min: 100, max: 3500 }).map((mib) => mib * MiB), driver: fc.boolean() }), {
  minLength: 1,
  maxLength: 6,
});

test('over any trace bounds hold, nothing turns twice in a minute, and a VM without a driver is left alone', () => {
  fc.assert(
    fc.property(anyGuests, fc.array(fc.integer({ min: 50, max: 3800 }), { minLength: 8, maxLength: 40 }), (guests, wave) => {
      const needs = (step: number, nth: number) => (wave[(Math.floor(step / 4) + nth * 3) % wave.length] ?? 100) * MiB;
      const { history } = simulate(guests, needs, 120);
      const last = new Map<string, { up: boolean; turnedAt: number }>();
      for (const { step, decisions } of history)
        for (const decision of decisions) {
          if (decision.kind !== 'memory') continue;
          assert.ok(decision.toBytes >= 512 * MiB && decision.toBytes <= 4 * GiB, 'out of bounds');
          assert.ok(guests[Number(decision.vm.slice(2))]?.driver, 'it has no driver');
          const up = decision.toBytes > decision.fromBytes;
          const before = last.get(decision.vm);
          if (before && before.up !== up)
            assert.ok(step * stepMs - before.turnedAt >= reversalMs, `${decision.vm} turned twice in a minute`);
          last.set(decision.vm, {
            up,
            turnedAt: before === undefined ? Number.NEGATIVE_INFINITY : before.up === up ? before.turnedAt : step * stepMs,
          });
        }
    }),
    { numRuns: 300 },
  );
});

test('under a constant load it comes to rest within 36 steps (3 minutes)', () => {
  fc.assert(
    fc.property(anyGuests, (guests) => {
      const { history } = simulate(guests, (_, nth) => guests[nth]?.needBytes ?? 0, 72);
      const late = history.filter(({ step, decisions }) => step >= 36 && decisions.some(({ kind }) => kind === 'memory'));
      assert.deepEqual(late, []);
    }),
    { numRuns: 300 },
  );
});

test('its cost grows linearly with the number of VMs', () => {
  const cost = (count: number) => {
    const vms = Array.from({ length: count }, (_, nth) => vm(`vm${nth}`, { memory: { guest: guest(nth % 3 === 0 ? 100 * MiB : GiB) } }));
    const times = Array.from({ length: 15 }, () => {
      const before = performance.now();
      decideStep(host({ availableBytes: GiB }), vms, initialState, 0);
      return performance.now() - before;
    });
    return Math.min(...times);
  };
  cost(500);
  const [few, many] = [cost(500), cost(4000)];
  assert.ok(many < few * 8 * 3, `500 VMs take ${few} ms and 4000 take ${many} ms`);
});
