// Keeps the warm pools full: missing members are created through the task engine, one at a time, after a growing pause when that fails. When
// the host's memory becomes scarce, members are evicted first, and created again when there is room.
import { MiB } from '../contract/field.ts';
import { measureMemory } from '../host/system/memory.ts';
import { overheadBytes } from '../vm/lifecycle/check-start.ts';
import type { Vm } from '../vm/vm.ts';
import { evict, isMember, isReady, membersOf, readyIn } from './members.ts';
import type { WarmPoolRecord } from './records.ts';
import type { Uses } from './services.ts';

export interface ReplenisherActions {
  /** Creates one member through the task engine, so that it is shown and journalled. */
  readonly fill: (warmPool: string) => Promise<void>;
  /** Memory of the host that stays available, in bytes; null: the usual part of it. */
  readonly reserveBytes: number | null;
}

const checkEveryMs = 2000;
/** A VM that was just taken has the processors to itself for this long. */
const settleMs = 300;
/** Nothing is created for this long after an eviction for a VM, which has not touched its memory yet. */
const quietMs = 15_000;
const mostReserveBytes = 1024 * MiB;

/** Pause after the nth failure in a row, in ms: 1, 2, 4 ... 300 s. */
export const pauseAfterMs = (failures: number): number => Math.min(300_000, 1000 * 2 ** (failures - 1));

/** How much stays available: a tenth of the host's memory, at most 1 GiB. Pure. */
export const usualReserve = (totalBytes: number): number => Math.min(mostReserveBytes, Math.floor(totalBytes / 10));

export class WarmPoolReplenisher {
  readonly #services: Uses<'vms' | 'warmPools' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'log' | 'clock' | 'bus'>;
  readonly #actions: ReplenisherActions;
  readonly #failed = new Map<string, { times: number; until: number }>();
  #timer: { at: number; cancel: () => void } | null = null;
  #begun = false;
  #running = false;
  #quietUntil = 0;
  /** One eviction at a time, so that no more is evicted than needed. */
  #making: Promise<void> = Promise.resolve();

  constructor(
    services: Uses<'vms' | 'warmPools' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths' | 'log' | 'clock' | 'bus'>,
    actions: ReplenisherActions,
  ) {
    this.#services = services;
    this.#actions = actions;
  }

  /** Called when the VMs and tasks of the previous daemon have been adopted or removed. */
  begin(): void {
    this.#begun = true;
    this.#runIn(0);
  }

  stop(): void {
    this.#begun = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** A warm pool has changed: what failed before may succeed now. */
  onChange(warmPool: string): void {
    this.#failed.delete(warmPool);
    this.#runIn(settleMs);
  }

  /** A VM has ended by itself. */
  onEnd(vm: Vm): void {
    if (isMember(vm)) this.#runIn(settleMs);
  }

  /** Evicts members until this many bytes of memory are available, or no member is left. */
  freeMemory(neededBytes: number): Promise<void> {
    const act = async () => {
      this.#quietUntil = this.#now() + quietMs;
      const { totalBytes } = await measureMemory();
      await this.#evictUntil(neededBytes + Math.min(this.#reserve(totalBytes), overheadBytes), 'a VM needs the memory');
    };
    this.#making = this.#making.then(act, act);
    return this.#making;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const { warmPools } = this.#services;
      for (const vm of this.#services.vms.all()) if (isStray(vm, this.#services)) await evict(vm, this.#services);
      for (const name of [...this.#failed.keys(), ...warmPools.problems.keys()]) {
        if (warmPools.byName(name)) continue;
        this.#failed.delete(name);
        warmPools.problems.delete(name);
      }
      if (warmPools.all().length === 0) return;
      await this.#keepReserve();
      for (let warmPool = await this.#next(); warmPool && this.#begun; warmPool = await this.#next()) await this.#fill(warmPool);
    } finally {
      this.#running = false;
      if (this.#services.warmPools.all().length > 0) this.#runIn(checkEveryMs);
    }
  }

  /** The warm pool that lacks most members and may be filled now. */
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
    const scarce = this.#now() < this.#quietUntil || availableBytes < this.#reserve(totalBytes) + 2 * overheadBytes;
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
      await this.#actions.fill(name);
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
    if (availableBytes < reserve) await this.#evictUntil(reserve, 'the host’s memory is scarce');
  }

  async #evictUntil(desiredBytes: number, why: string): Promise<void> {
    const evicted = new Map<string, number>();
    for (;;) {
      if ((await measureMemory()).availableBytes >= desiredBytes) break;
      const ready = this.#services.warmPools.all().map(({ name }) => readyIn(this.#services, name));
      // From the fullest warm pool.
      const [vm] = ready.sort((one, other) => other.length - one.length)[0] ?? [];
      const warmPool = vm?.record.warmPool;
      if (!vm || !warmPool) break;
      if (await evict(vm, this.#services)) evicted.set(warmPool, (evicted.get(warmPool) ?? 0) + 1);
    }
    for (const [name, count] of evicted)
      void this.#services.bus.emit('report', {
        type: 'warm-pool.evicted',
        name,
        message: `${count} members of the warm pool ${name} were evicted, because ${why}`,
      });
  }

  #reserve(totalBytes: number): number {
    return this.#actions.reserveBytes ?? usualReserve(totalBytes);
  }

  #now(): number {
    return this.#services.clock.now();
  }

  #runIn(ms: number): void {
    if (!this.#begun) return;
    const { clock, log } = this.#services;
    const at = clock.now() + ms;
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timer = null;
      void this.#run().catch((error: unknown) => log.error({ error }, 'the warm pools could not be filled'));
    });
    this.#timer = { at, cancel };
  }
}

/** A member of a warm pool that no longer exists. */
const isStray = (vm: Vm, { warmPools }: Uses<'warmPools'>): boolean =>
  isMember(vm) && !warmPools.byName(vm.record.warmPool ?? '') && !warmPools.isChosen(vm);
