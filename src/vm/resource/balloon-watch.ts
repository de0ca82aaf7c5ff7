// What a running guest reports of its memory through its balloon driver. Asked for regularly; a guest without the driver has no figures.
import type { Clock } from '../../host/clock.ts';
import { type BalloonStats, balloonActual, balloonStats, pollBalloonStats } from '../../qemu/balloon.ts';
import type { QmpConnection } from '../../qemu/qmp.ts';

export interface GuestMemory {
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  readonly availableBytes: number | null;
  readonly cacheBytes: number | null;
  /** Since the last report but one; null: not known. */
  readonly majorFaultsPerSecond: number | null;
}

/** An answer costs QEMU and the daemon some 0.2 ms each. */
const everySeconds = 10;
/** Where the governor may change its memory. */
const governedEverySeconds = 5;

export class BalloonWatch {
  readonly #qmp: QmpConnection;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #actualBytes: number | null = null;
  #stats: BalloonStats | null = null;
  #before: BalloonStats | null = null;
  #seconds = everySeconds;
  #isBegun = false;

  /** @param signal aborted when the VM's runtime ends */
  constructor(qmp: QmpConnection, clock: Clock, signal: AbortSignal) {
    this.#qmp = qmp;
    this.#clock = clock;
    this.#signal = signal;
    qmp.on('BALLOON_CHANGE', ({ actual }) => {
      if (typeof actual === 'number') this.#actualBytes = actual;
    });
  }

  /** Repeatable. @param governed its memory may be changed by the governor */
  async begin(governed: boolean): Promise<void> {
    const seconds = governed ? governedEverySeconds : everySeconds;
    this.#seconds = seconds;
    await pollBalloonStats(this.#qmp, seconds);
    this.#actualBytes ??= await balloonActual(this.#qmp);
    if (this.#isBegun) return;
    this.#isBegun = true;
    this.#later();
  }

  /** What the balloon leaves the guest; null: not known yet. */
  get actualBytes(): number | null {
    return this.#actualBytes;
  }

  /** Null: no driver has answered in the last three intervals. */
  get guest(): GuestMemory | null {
    const stats = this.#stats;
    if (stats === null || stats.updatedAt === 0 || this.#clock.now() / 1000 - stats.updatedAt > 3 * everySeconds) return null;
    const { totalBytes, freeBytes, availableBytes, cacheBytes } = stats;
    return { totalBytes, freeBytes, availableBytes, cacheBytes, majorFaultsPerSecond: faultsPerSecond(this.#before, stats) };
  }

  #later(): void {
    const cancel = this.#clock.after(this.#seconds * 1000, () => {
      this.#signal.removeEventListener('abort', cancel);
      if (this.#signal.aborted) return;
      void balloonStats(this.#qmp)
        .then(
          (stats) => {
            if (stats.updatedAt === this.#stats?.updatedAt) return;
            this.#before = this.#stats;
            this.#stats = stats;
          },
          () => {}, // QEMU is ending, or busy: the figures expire
        )
        .finally(() => this.#later());
    });
    this.#signal.addEventListener('abort', cancel, { once: true });
  }
}

function faultsPerSecond(before: BalloonStats | null, now: BalloonStats): number | null {
  if (before?.majorFaults === undefined || before.majorFaults === null || now.majorFaults === null) return null;
  const seconds = now.updatedAt - before.updatedAt;
  // A guest that has rebooted counts from 0 again.
  return seconds <= 0 || now.majorFaults < before.majorFaults ? null : (now.majorFaults - before.majorFaults) / seconds;
}
