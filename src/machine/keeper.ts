// What is done for machines without anyone asking: those that a full disk stopped go on when there is room, those whose
// policy says so are started again (with a growing pause), serial logs are rotated.
import type { Machines } from './machines.ts';
import type { Machine, News } from './runner.ts';
import { rotate } from './serial-log.ts';
import { resume } from './stop.ts';

export interface Keeping {
  /** Starts a machine through the task engine, so that it is seen and journalled. */
  readonly start: (machine: Machine) => Promise<void>;
  readonly remove: (machine: Machine) => Promise<void>;
  /** True while the host's disk has too little room for guests to write. */
  readonly diskFull: () => boolean;
}

const lookEveryMs = 2000;
const rotateEveryMs = 30_000;

/** Pause before the nth start in a row, in ms: 1, 2, 4 ... 60 s. */
export const backOffMs = (restarts: number): number => Math.min(60_000, 1000 * 2 ** restarts);

/** Whether a machine that ended by itself is started again. Pure. */
export function restartsAgain(policy: 'no' | 'on-failure' | 'always', wanted: 'running' | 'stopped', failed: boolean): boolean {
  return wanted === 'running' && (policy === 'always' || (policy === 'on-failure' && failed));
}

export class Keeper {
  readonly #machines: Machines;
  readonly #keeping: Keeping;
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(machines: Machines, keeping: Keeping) {
    this.#machines = machines;
    this.#keeping = keeping;
    this.#every(lookEveryMs, () => this.#resumeStarved());
    this.#every(rotateEveryMs, () => this.#rotateLogs());
  }

  hear(news: News): void {
    if (news.type !== 'ended' || this.#stopped) return;
    const { machine, failed } = news;
    const { settings, wanted, restarts } = machine.record;
    if (settings.removeOnStop) void this.#keeping.remove(machine).catch((error: unknown) => this.#problem(machine, error));
    else if (restartsAgain(settings.restart, wanted, failed)) this.#startLater(machine, backOffMs(restarts));
  }

  /** Called once after the host has booted: machines that start with it, and those that were running and are to be kept so. */
  async startWithHost(): Promise<void> {
    for (const machine of this.#machines.list()) {
      const { record } = machine;
      const kept = record.wanted === 'running' && record.settings.restart !== 'no';
      if (record.state === 'stopped' && (record.settings.autostart || kept)) {
        await this.#keeping.start(machine).catch((error: unknown) => this.#problem(machine, error));
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #startLater(machine: Machine, pauseMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void machine
        .update((record) => ({ restarts: record.restarts + 1 }))
        .then(() => this.#keeping.start(machine))
        .catch((error: unknown) => this.#problem(machine, error));
    }, pauseMs);
    this.#timers.add(timer);
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
