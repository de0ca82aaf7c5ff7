// How much memory each VM has of the host when shared pages are divided among those who share them: forks share most of theirs. The
// kernel walks all pages of a process for this figure, so one process is asked at a time, in turns, and pauses in between keep the
// whole below half a percent of a core.
import type { Clock } from '../../host/clock.ts';
import { readSmapsRollup } from '../../host/file/proc-file.ts';
import { parseSmapsRollup, type SharedMemory } from './proc.ts';

/** Of one core. */
const mostShare = 0.005;
const leastPauseMs = 100;
/** Each process is asked this often at most. */
const everyMs = 30_000;
/** A figure that is older is not shown: the VM may have freed or written all of its memory. */
const validMs = 10 * 60_000;

interface Reading {
  readonly readAt: number;
  /** Null: it could not be read (the process ended, or belongs to another user). */
  readonly memory: SharedMemory | null;
}

export class SharedMemoryReader {
  readonly #clock: Clock;
  readonly #pids: () => Iterable<number>;
  readonly #found = new Map<number, Reading>();
  #cancel: (() => void) | null = null;

  /** @param pids processes to ask, in whatever order */
  constructor(clock: Clock, pids: () => Iterable<number>) {
    this.#clock = clock;
    this.#pids = pids;
  }

  begin(): void {
    this.#next(leastPauseMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /** The last figure; null while there is none, or none that is fresh enough. */
  of(pid: number): SharedMemory | null {
    const reading = this.#found.get(pid);
    return reading !== undefined && this.#clock.now() - reading.readAt <= validMs ? reading.memory : null;
  }

  #next(afterMs: number): void {
    this.#cancel = this.#clock.after(afterMs, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const pid = mostOverdue([...this.#pids()], this.#found, this.#clock.now());
    if (pid === null) return this.#next(1000);
    const from = performance.now();
    const text = await readSmapsRollup(pid);
    const spentMs = performance.now() - from;
    this.#found.set(pid, { readAt: this.#clock.now(), memory: text === null ? null : parseSmapsRollup(text) });
    if (this.#cancel !== null) this.#next(Math.max(leastPauseMs, spentMs / mostShare));
  }
}

/** The process whose figure is oldest and due; those that have ended are removed from `found`. */
export function mostOverdue(pids: readonly number[], found: Map<number, { readonly readAt: number }>, now: number): number | null {
  const alive = new Set(pids);
  for (const pid of found.keys()) if (!alive.has(pid)) found.delete(pid);
  let oldest: number | null = null;
  let oldestAt = now - everyMs;
  for (const pid of pids) {
    const readAt = found.get(pid)?.readAt ?? Number.NEGATIVE_INFINITY;
    if (readAt <= oldestAt) {
      if (readAt === Number.NEGATIVE_INFINITY) return pid;
      oldest = pid;
      oldestAt = readAt;
    }
  }
  return oldest;
}
