// What is done for machines without anyone asking: those that a full disk stopped go on when there is room, those whose
// policy says so are started again (with a growing pause), serial logs are rotated.

import { rotate } from '../device/serial-log.ts';
import type { MachineRecord } from '../record.ts';
import type { Machines } from '../registry.ts';
import type { Machine, News } from '../vm.ts';
import { resume } from './stop.ts';

export interface Keeping {
  /** Starts a machine through the task engine, so that it is seen and journalled. */
  readonly start: (machine: Machine) => Promise<void>;
  readonly remove: (machine: Machine) => Promise<void>;
  /** Resolves when nothing is under way on the machine. */
  readonly idle: (machine: Machine) => Promise<void>;
  /** True while the host's disk has too little room for guests to write. */
  readonly diskFull: () => boolean;
}

const lookEveryMs = 2000;
const rotateEveryMs = 30_000;

/** Pause before the nth start in a row, in ms: 1, 2, 4 ... 60 s. */
export const backOffMs = (restarts: number): number => Math.min(60_000, 1000 * 2 ** restarts);

/** A machine that has run for this long has got over what ended it before. */
const calmMs = 600_000;

/** Starts in a row by the policy. Pure. */
export const restartsInARow = (
  { restarts, startedAt, stateReason }: Pick<MachineRecord, 'restarts' | 'startedAt' | 'stateReason'>,
  now: number,
): number => (stateReason?.code !== 'start_failed' && startedAt !== null && now - startedAt >= calmMs ? 0 : restarts);

/** Whether a machine that ended by itself is started again. Pure. */
export function restartsAgain(policy: 'no' | 'on-failure' | 'always', wanted: 'running' | 'stopped', failed: boolean): boolean {
  return wanted === 'running' && (policy === 'always' || (policy === 'on-failure' && failed));
}

/** It ended by itself, or could not be started again, and is to be removed or started again. Pure. */
export function isUnfinishedEnd({ state, started, settings, wanted, stateReason, bootId }: MachineRecord, hostBootId: string): boolean {
  const tried = stateReason?.code === 'start_failed';
  if ((started === null && !tried) || (state !== 'stopped' && state !== 'broken')) return false;
  if (settings.removeOnStop) return true;
  return bootId === hostBootId && restartsAgain(settings.restart, wanted, stateReason?.code !== 'guest_shutdown');
}

export class Keeper {
  readonly #machines: Machines;
  readonly #keeping: Keeping;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Machines whose end is being followed up. */
  readonly #following = new Set<Machine>();
  #begun = false;
  #stopped = false;

  constructor(machines: Machines, keeping: Keeping) {
    this.#machines = machines;
    this.#keeping = keeping;
    this.#every(lookEveryMs, () => this.#resumeStarved());
    this.#every(rotateEveryMs, () => this.#rotateLogs());
  }

  /** Called when the tasks of the last daemon have their places again: from now on ends are followed up, those of before as well. */
  begin(): void {
    this.#begun = true;
    for (const machine of this.#machines.all()) void this.#follow(machine);
  }

  hear(news: News): void {
    if (news.type === 'ended' && this.#begun) void this.#follow(news.machine);
  }

  /** Whatever is under way on the machine may be what its user wants of it now, so that is waited for. */
  async #follow(machine: Machine): Promise<void> {
    if (!this.#unfinished(machine) || this.#following.has(machine)) return;
    this.#following.add(machine);
    try {
      const before = restartsInARow(machine.record, Date.now());
      if (!machine.record.settings.removeOnStop) await this.#pause(backOffMs(before));
      await this.#keeping.idle(machine);
      // A broken machine may have a process that does not answer: it has not ended, and when it does that is told.
      if (await this.#machines.processes.of(machine)) return;
      if (this.#stopped || !this.#unfinished(machine)) return;
      if (machine.record.settings.removeOnStop) return await this.#keeping.remove(machine);
      await machine.update(() => ({ restarts: before + 1 }));
      this.#following.delete(machine); // it may end again before its start is called done
      await this.#start(machine);
    } catch (error) {
      this.#problem(machine, error);
    } finally {
      this.#following.delete(machine);
    }
    // A start that failed; after one that did not there is nothing to follow.
    if (machine.record.stateReason?.code === 'start_failed' && !this.#stopped) void this.#follow(machine);
  }

  /** The reason of a failure is shown with the machine for as long as that is what it waits for. */
  async #start(machine: Machine): Promise<void> {
    try {
      await this.#keeping.start(machine);
    } catch (error) {
      const { message } = error as Error;
      await machine.update((record) =>
        record.stateReason?.code === 'start_failed' && record.wanted === 'running'
          ? { stateReason: { ...record.stateReason, message: `it could not be started again: ${message}` } }
          : record,
      );
      throw error;
    }
  }

  #unfinished(machine: Machine): boolean {
    return (
      this.#machines.byId(machine.id) === machine && machine.record.complete && isUnfinishedEnd(machine.record, this.#machines.host.bootId)
    );
  }

  /**
   * Called once after the host has booted: machines that start with it, and those that were running and are to be kept so; a
   * machine that was broken as well. One whose start fails is tried again where its policy says so.
   */
  async startWithHost(): Promise<void> {
    for (const machine of this.#machines.list()) {
      const { record } = machine;
      const kept = restartsAgain(record.settings.restart, record.wanted, record.stateReason?.code !== 'guest_shutdown');
      if ((record.state !== 'stopped' && record.state !== 'broken') || machine.live || !(record.settings.autostart || kept)) continue;
      try {
        if (record.wanted !== 'running' && record.settings.restart !== 'no') await machine.update(() => ({ wanted: 'running' }));
        await this.#start(machine);
      } catch (error) {
        this.#problem(machine, error);
        void this.#follow(machine);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  async #resumeStarved(): Promise<void> {
    const starved = this.#machines
      .list()
      .filter(({ live, record }) => live?.starved && (record.state === 'running' || record.stateReason?.code === 'host_disk_full'));
    if (starved.length === 0 || this.#keeping.diskFull()) return;
    for (const machine of starved) {
      try {
        await resume(machine);
        machine.tell({ type: 'event', machine, what: 'resumed', message: 'there is room on the host’s disk again' });
      } catch (error) {
        this.#problem(machine, error);
      }
    }
  }

  async #rotateLogs(): Promise<void> {
    for (const machine of this.#machines.list()) {
      if (machine.live) await rotate(machine.paths.serialLog).catch((error: unknown) => this.#problem(machine, error));
    }
  }

  #every(ms: number, act: () => Promise<void>): void {
    const again = () => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void act().finally(() => !this.#stopped && again());
      }, ms);
      timer.unref();
      this.#timers.add(timer);
    };
    again();
  }

  #problem(machine: Machine, error: unknown): void {
    if (!this.#stopped) machine.tell({ type: 'event', machine, what: 'problem', message: (error as Error).message });
  }
}
