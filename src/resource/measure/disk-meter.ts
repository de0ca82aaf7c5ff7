// Disk counters come from QEMU itself, over QMP: asked for every ten seconds, because an answer costs QEMU and the daemon as much as all
// other figures of a VM together. One question at a time for each VM; a QEMU that does not answer has no figures.
import { perSecond } from './rate.ts';
import type { DiskCounters, RunningVm } from './vm.ts';

const everyMs = 10_000;
const deadlineMs = 5000;
/** After this long without an answer the last one is not shown any more. */
const validMs = 3 * everyMs;

export interface DiskRates {
  readonly diskReadBytesPerSecond?: number | undefined;
  readonly diskWriteBytesPerSecond?: number | undefined;
  readonly diskReadsPerSecond?: number | undefined;
  readonly diskWritesPerSecond?: number | undefined;
  readonly diskLatencyMs?: number | undefined;
}

interface Reading {
  /** ms, of a clock that never steps back. */
  readonly at: number;
  readonly disks: readonly DiskCounters[];
}

export class DiskMeter {
  #dueAt: number;
  #asking = false;
  #last: Reading | null = null;
  #rates: DiskRates = {};

  /** @param firstAt when to ask first, so that not all VMs are asked in the same second */
  constructor(firstAt: number) {
    this.#dueAt = firstAt;
  }

  /** Asks where it is time to. Never rejects. */
  poll(vm: RunningVm, now: number): void {
    if (this.#asking || now < this.#dueAt) return;
    this.#asking = true;
    this.#dueAt = now + everyMs;
    vm.diskCounters(AbortSignal.timeout(deadlineMs))
      .then(
        (disks) => this.#take({ at: performance.now(), disks }),
        () => {}, // QEMU is ending, or hangs: the figures expire
      )
      .finally(() => {
        this.#asking = false;
      });
  }

  counters(now: number): readonly DiskCounters[] {
    return this.#last !== null && now - this.#last.at <= validMs ? this.#last.disks : [];
  }

  /** Over the last interval between two answers. */
  rates(now: number): DiskRates {
    return this.#last !== null && now - this.#last.at <= validMs ? this.#rates : {};
  }

  #take(reading: Reading): void {
    this.#rates = this.#last === null ? {} : diskRates(this.#last, reading);
    this.#last = reading;
  }
}

/** Rates of all disks together. Pure. A disk that came or went in between does not count. */
export function diskRates(before: Reading, now: Reading): DiskRates {
  const seconds = (now.at - before.at) / 1000;
  const both = now.disks.flatMap((disk) => {
    const old = before.disks.find((other) => other.disk === disk.disk);
    return old ? [{ old, disk }] : [];
  });
  if (both.length === 0) return {};
  const rate = (field: Exclude<keyof DiskCounters, 'disk'>) => {
    const rates = both.map(({ old, disk }) => perSecond(old[field], disk[field], seconds));
    return rates.some((value) => value === undefined) ? undefined : rates.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  };
  const reads = rate('reads');
  const writes = rate('writes');
  const requests = (reads ?? 0) + (writes ?? 0);
  const busy = (rate('readSeconds') ?? 0) + (rate('writeSeconds') ?? 0);
  return {
    diskReadBytesPerSecond: rate('readBytes'),
    diskWriteBytesPerSecond: rate('writeBytes'),
    diskReadsPerSecond: reads,
    diskWritesPerSecond: writes,
    // No request, no latency.
    diskLatencyMs: requests > 0 ? (busy / requests) * 1000 : undefined,
  };
}
