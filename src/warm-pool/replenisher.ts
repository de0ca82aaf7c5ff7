// Keeps the warm pools as full as they are meant to be: what lacks is made through the task engine, one at a time, later and later
// where that fails. When the host's memory becomes scarce what stands ready is given up first, and made again when there is room.
import { MiB } from '../contract/field.ts';
import { measureMemory } from '../host/memory.ts';
import { overheadBytes } from '../vm/lifecycle/start.ts';
import type { Machines } from '../vm/registry.ts';
import type { Machine } from '../vm/vm.ts';
import { giveUp, isMember, isReady, membersOf, readyIn } from './members.ts';
import type { PoolRecord } from './records.ts';

export interface PoolKeeping {
  /** Makes one machine through the task engine, so that it is seen and journalled. */
  readonly fill: (pool: string) => Promise<void>;
  readonly tell: (event: { type: string; name: string; message: string }) => void;
  /** Memory of the host that stays available, in bytes; null: the usual part of it. */
  readonly reserveBytes: number | null;
}

const lookEveryMs = 2000;
/** Whoever has taken a machine has the processors to himself for so long. */
const settleMs = 300;
/** For so long nothing is made after it was given up for a machine, which has not touched its memory yet. */
const restMs = 15_000;
const mostReserveBytes = 1024 * MiB;

/** Pause after the nth failure in a row, in ms: 1, 2, 4 ... 300 s. */
export const pauseAfterMs = (failures: number): number => Math.min(300_000, 1000 * 2 ** (failures - 1));

/** How much stays available: a tenth of the host's memory, at most 1 GiB. Pure. */
export const usualReserve = (totalBytes: number): number => Math.min(mostReserveBytes, Math.floor(totalBytes / 10));

export class PoolKeeper {
  readonly #machines: Machines;
  readonly #keeping: PoolKeeping;
  readonly #failed = new Map<string, { times: number; until: number }>();
  #timer: { at: number; cancel: () => void } | null = null;
  #begun = false;
  #looking = false;
  #restUntil = 0;
  /** One at a time, so that no more is given up than is needed. */
  #making: Promise<void> = Promise.resolve();

  constructor(machines: Machines, keeping: PoolKeeping) {
    this.#machines = machines;
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

  /** A pool has changed: what failed before may succeed now. */
  changed(pool: string): void {
    this.#failed.delete(pool);
    this.#lookIn(settleMs);
  }

  /** A machine has ended by itself. */
  ended(machine: Machine): void {
    if (isMember(machine)) this.#lookIn(settleMs);
  }

  /** Gives up what stands ready until so much memory is available, or nothing is left to give up. */
  makeRoom(neededBytes: number): Promise<void> {
    const act = async () => {
      this.#restUntil = this.#now() + restMs;
      const { totalBytes } = await measureMemory();
      await this.#giveUpUntil(neededBytes + Math.min(this.#reserve(totalBytes), overheadBytes), 'a machine needs the memory');
    };
    this.#making = this.#making.then(act, act);
    return this.#making;
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { pools } = this.#machines;
      for (const machine of this.#machines.all()) if (isStray(machine, this.#machines)) await giveUp(machine, this.#machines);
      for (const name of [...this.#failed.keys(), ...pools.problems.keys()]) {
        if (pools.byName(name)) continue;
        this.#failed.delete(name);
        pools.problems.delete(name);
      }
      if (pools.all().length === 0) return;
      await this.#keepReserve();
      for (let pool = await this.#next(); pool && this.#begun; pool = await this.#next()) await this.#fill(pool);
    } finally {
      this.#looking = false;
      if (this.#machines.pools.all().length > 0) this.#lookIn(lookEveryMs);
    }
  }

  /** The pool that lacks most and may be filled now. */
  async #next(): Promise<PoolRecord | null> {
    const { pools } = this.#machines;
    const lacking = pools
      .all()
      .map((pool) => ({ pool, lacks: pool.size - membersOf(this.#machines, pool.name).filter(isReady).length }))
      .filter(({ lacks }) => lacks > 0)
      .sort((one, other) => other.lacks - one.lacks);
    if (lacking.length === 0) {
      pools.problems.clear();
      return null;
    }
    const { totalBytes, availableBytes } = await measureMemory();
    const scarce = this.#now() < this.#restUntil || availableBytes < this.#reserve(totalBytes) + 2 * overheadBytes;
    let next: PoolRecord | null = null;
    for (const { pool } of lacking) {
      const backingOff = (this.#failed.get(pool.name)?.until ?? 0) > this.#now();
      if (scarce) pools.problems.set(pool.name, 'the host has too little memory available for more');
      else if (!backingOff) {
        pools.problems.delete(pool.name);
        next ??= pool;
      }
    }
    return next;
  }

  async #fill({ name }: PoolRecord): Promise<void> {
    try {
      await this.#keeping.fill(name);
      this.#failed.delete(name);
    } catch (error) {
      if (!this.#begun || !this.#machines.pools.byName(name)) return;
      const times = (this.#failed.get(name)?.times ?? 0) + 1;
      const pauseMs = pauseAfterMs(times);
      this.#failed.set(name, { times, until: this.#now() + pauseMs });
      this.#machines.pools.problems.set(name, (error as Error).message);
      const message = `the pool ${name} is filled again in ${pauseMs / 1000} s, because this failed: ${(error as Error).message}`;
      this.#keeping.tell({ type: 'pool.problem', name, message });
    }
  }

  async #keepReserve(): Promise<void> {
    const { totalBytes, availableBytes } = await measureMemory();
    const reserve = this.#reserve(totalBytes);
    if (availableBytes < reserve) await this.#giveUpUntil(reserve, 'the host’s memory is scarce');
  }

  async #giveUpUntil(wantedBytes: number, why: string): Promise<void> {
    const given = new Map<string, number>();
    for (;;) {
      if ((await measureMemory()).availableBytes >= wantedBytes) break;
      const ready = this.#machines.pools.all().map(({ name }) => readyIn(this.#machines, name));
      // The fullest pool gives first.
      const [machine] = ready.sort((one, other) => other.length - one.length)[0] ?? [];
      const pool = machine?.record.pool;
      if (!machine || !pool) break;
      if (await giveUp(machine, this.#machines)) given.set(pool, (given.get(pool) ?? 0) + 1);
    }
    for (const [name, count] of given)
      this.#keeping.tell({ type: 'pool.gave', name, message: `the pool ${name} gave up ${count} that stood ready, because ${why}` });
  }

  #reserve(totalBytes: number): number {
    return this.#keeping.reserveBytes ?? usualReserve(totalBytes);
  }

  #now(): number {
    return this.#machines.host.clock.now();
  }

  #lookIn(ms: number): void {
    if (!this.#begun) return;
    const { clock, log } = this.#machines.host;
    const at = clock.now() + ms;
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timer = null;
      void this.#look().catch((error: unknown) => log.error({ error }, 'the pools could not be looked after'));
    });
    this.#timer = { at, cancel };
  }
}

/** It stands in a pool that is not there any more. */
const isStray = (machine: Machine, { pools }: Machines): boolean =>
  isMember(machine) && !pools.byName(machine.record.pool ?? '') && !pools.isChosen(machine);
