// Keeps the warm pools as full as they are meant to be: what lacks is made through the task engine, one at a time, later and later
// where that fails. When the host's memory becomes scarce what stands ready is given up first, and made again when there is room.
import { MiB } from '../contract/field.ts';
import { measureMemory } from '../host/system/memory.ts';
import { overheadBytes } from '../vm/lifecycle/check-start.ts';
import type { Vm } from '../vm/vm.ts';
import { abandon, isMember, isReady, membersOf, readyIn } from './members.ts';
import type { WarmPoolRecord } from './records.ts';
import type { Uses } from './services.ts';

export interface WarmPoolKeeping {
  /** Makes one VM through the task engine, so that it is seen and journalled. */
  readonly fill: (warmPool: string) => Promise<void>;
  /** Memory of the host that stays available, in bytes; null: the usual part of it. */
  readonly reserveBytes: number | null;
}

const lookEveryMs = 2000;
/** Whoever has taken a VM has the processors to himself for so long. */
const settleMs = 300;
/** For so long nothing is made after it was given up for a VM, which has not touched its memory yet. */
const restMs = 15_000;
const mostReserveBytes = 1024 * MiB;

/** Pause after the nth failure in a row, in ms: 1, 2, 4 ... 300 s. */
export const pauseAfterMs = (failures: number): number => Math.min(300_000, 1000 * 2 ** (failures - 1));

/** How much stays available: a tenth of the host's memory, at most 1 GiB. Pure. */
export const usualReserve = (totalBytes: number): number => Math.min(mostReserveBytes, Math.floor(totalBytes / 10));

export class WarmPoolReplenisher {
  readonly #services: Uses<'vms' | 'warmPools' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'log' | 'clock' | 'bus'>;
  readonly #keeping: WarmPoolKeeping;
  readonly #failed = new Map<string, { times: number; until: number }>();
  #timer: { at: number; cancel: () => void } | null = null;
  #begun = false;
  #looking = false;
  #restUntil = 0;
  /** One at a time, so that no more is given up than is needed. */
  #making: Promise<void> = Promise.resolve();

  constructor(
    services: Uses<'vms' | 'warmPools' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'log' | 'clock' | 'bus'>,
    keeping: WarmPoolKeeping,
  ) {
    this.#services = services;
    this.#keeping = keeping;
  }

  /** Called when what the last daemon left has been taken up or cleared away. */
  begin(): void {
    this.#begun = true;
    this.#lookIn(0);
  }

  stop(): void {
    this.#begun = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** A warm pool has changed: what failed before may succeed now. */
  onChange(warmPool: string): void {
    this.#failed.delete(warmPool);
    this.#lookIn(settleMs);
  }

  /** A VM has ended by itself. */
  onEnd(vm: Vm): void {
    if (isMember(vm)) this.#lookIn(settleMs);
  }

  /** Gives up what stands ready until so much memory is available, or nothing is left to give up. */
  freeMemory(neededBytes: number): Promise<void> {
    const act = async () => {
      this.#restUntil = this.#now() + restMs;
      const { totalBytes } = await measureMemory();
      await this.#giveUpUntil(neededBytes + Math.min(this.#reserve(totalBytes), overheadBytes), 'a VM needs the memory');
    };
    this.#making = this.#making.then(act, act);
    return this.#making;
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { warmPools } = this.#services;
      for (const vm of this.#services.vms.all()) if (isStray(vm, this.#services)) await abandon(vm, this.#services);
      for (const name of [...this.#failed.keys(), ...warmPools.problems.keys()]) {
        if (warmPools.byName(name)) continue;
        this.#failed.delete(name);
        warmPools.problems.delete(name);
      }
      if (warmPools.all().length === 0) return;
      await this.#keepReserve();
      for (let warmPool = await this.#next(); warmPool && this.#begun; warmPool = await this.#next()) await this.#fill(warmPool);
    } finally {
      this.#looking = false;
      if (this.#services.warmPools.all().length > 0) this.#lookIn(lookEveryMs);
    }
  }

  /** The warm pool that lacks most and may be filled now. */
  async #next(): Promise<WarmPoolRecord | null> {
    const { warmPools } = this.#services;
    const lacking = warmPools
      .all()
      .map((warmPool) => ({ warmPool, lacks: warmPool.size - membersOf(this.#services, warmPool.name).filter(isReady).length }))
      .filter(({ lacks }) => lacks > 0)
      .sort((one, other) => other.lacks - one.lacks);
    if (lacking.length === 0) {
      warmPools.problems.clear();
      return null;
    }
    const { totalBytes, availableBytes } = await measureMemory();
    const scarce = this.#now() < this.#restUntil || availableBytes < this.#reserve(totalBytes) + 2 * overheadBytes;
    let next: WarmPoolRecord | null = null;
    for (const { warmPool } of lacking) {
      const backingOff = (this.#failed.get(warmPool.name)?.until ?? 0) > this.#now();
      if (scarce) warmPools.problems.set(warmPool.name, 'the host has too little memory available for more');
      else if (!backingOff) {
        warmPools.problems.delete(warmPool.name);
        next ??= warmPool;
      }
    }
    return next;
  }

  async #fill({ name }: WarmPoolRecord): Promise<void> {
    try {
      await this.#keeping.fill(name);
      this.#failed.delete(name);
    } catch (error) {
      if (!this.#begun || !this.#services.warmPools.byName(name)) return;
      const times = (this.#failed.get(name)?.times ?? 0) + 1;
      const pauseMs = pauseAfterMs(times);
      this.#failed.set(name, { times, until: this.#now() + pauseMs });
      this.#services.warmPools.problems.set(name, (error as Error).message);
      const message = `the warm pool ${name} is filled again in ${pauseMs / 1000} s, because this failed: ${(error as Error).message}`;
      void this.#services.bus.emit('report', { type: 'warm-pool.problem', name, message });
    }
  }

  async #keepReserve(): Promise<void> {
    const { totalBytes, availableBytes } = await measureMemory();
    const reserve = this.#reserve(totalBytes);
    if (availableBytes < reserve) await this.#giveUpUntil(reserve, 'the host’s memory is scarce');
  }

  async #giveUpUntil(desiredBytes: number, why: string): Promise<void> {
    const given = new Map<string, number>();
    for (;;) {
      if ((await measureMemory()).availableBytes >= desiredBytes) break;
      const ready = this.#services.warmPools.all().map(({ name }) => readyIn(this.#services, name));
      // The fullest warm pool gives first.
      const [vm] = ready.sort((one, other) => other.length - one.length)[0] ?? [];
      const warmPool = vm?.record.warmPool;
      if (!vm || !warmPool) break;
      if (await abandon(vm, this.#services)) given.set(warmPool, (given.get(warmPool) ?? 0) + 1);
    }
    for (const [name, count] of given)
      void this.#services.bus.emit('report', {
        type: 'warm-pool.gave',
        name,
        message: `the warm pool ${name} gave up ${count} that stood ready, because ${why}`,
      });
  }

  #reserve(totalBytes: number): number {
    return this.#keeping.reserveBytes ?? usualReserve(totalBytes);
  }

  #now(): number {
    return this.#services.clock.now();
  }

  #lookIn(ms: number): void {
    if (!this.#begun) return;
    const { clock, log } = this.#services;
    const at = clock.now() + ms;
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timer = null;
      void this.#look().catch((error: unknown) => log.error({ error }, 'the warm pools could not be looked after'));
    });
    this.#timer = { at, cancel };
  }
}

/** It stands in a warm pool that is not there any more. */
const isStray = (vm: Vm, { warmPools }: Uses<'warmPools'>): boolean =>
  isMember(vm) && !warmPools.byName(vm.record.warmPool ?? '') && !warmPools.isChosen(vm);
