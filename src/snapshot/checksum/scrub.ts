// Scrubbing, in the background, slowly and one file at a time: new layers get their checksums, and every few days all files of snapshots are
// compared with their checksums, so that damage is known before a snapshot is needed. A round that the daemon's end interrupted continues
// with what it had not read yet.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Time } from '../../contract/field.ts';
import { isUsable } from '../../host/file/usable.ts';
import { checksummedFiles, type Pace, removeUnfinishedChecksums, takeChecksums } from '../../vm/capture/checksums.ts';
import type { SnapshotRecord } from '../../vm/capture/snapshot-record.ts';
import type { Uses } from '../services.ts';
import { verifySnapshots } from './verify.ts';

const dayMs = 86_400_000;
export const scrubEveryMs = 7 * dayMs;
/** A guest that has just been captured or forked comes first. */
const settleMs = 3000;
/** At least this often: the host's clock may have been set. */
const lookEveryMs = 3_600_000;
/** Read for checksums that are not there yet, and for comparing, in bytes a second. */
const checksumBytesPerSecond = 64 * 2 ** 20;
const compareBytesPerSecond = 24 * 2 ** 20;

const roundKey = 'scrub/round';
const Round = z.object({ beganAt: Time, ended: z.boolean() });

export class Scrub {
  readonly #services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'store' | 'log' | 'clock'>;
  readonly #everyMs: number;
  readonly #stopping = new AbortController();
  /** Files whose checksums could not be taken; tried again by the next daemon. */
  readonly #failed = new Set<string>();
  #cancel: (() => void) | null = null;
  #work: Promise<void> | null = null;
  /** A snapshot was made while it was at work. */
  #again = false;

  /** @param everyMs how long after the beginning of a round the next one begins; 0: there are none */
  constructor(services: Uses<'vms' | 'snapshots' | 'checks' | 'paths' | 'store' | 'log' | 'clock'>, everyMs: number) {
    this.#services = services;
    this.#everyMs = everyMs;
  }

  async begin(): Promise<void> {
    await removeUnfinishedChecksums(this.#services.paths);
    this.#scrubIn(settleMs);
  }

  onSnapshot(): void {
    this.#again = true;
    if (!this.#work) this.#scrubIn(settleMs);
  }

  /** Resolves when nothing is being read any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the daemon is stopping'));
    this.#cancel?.();
    await this.#work;
  }

  #scrubIn(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#cancel?.();
    this.#cancel = this.#services.clock.after(ms, () => {
      this.#again = false;
      this.#work = this.#scrub()
        .catch((error: unknown) => {
          if (!this.#stopping.signal.aborted) this.#services.log.error({ error }, 'the files of snapshots could not be compared');
        })
        .finally(() => {
          this.#work = null;
          this.#scrubIn(this.#again ? settleMs : Math.max(settleMs, Math.min(lookEveryMs, this.#everyMs || lookEveryMs)));
        });
    });
  }

  async #scrub(): Promise<void> {
    const pace = this.#pace(checksumBytesPerSecond);
    for (const snapshot of this.#snapshots())
      for (const file of checksummedFiles(snapshot, this.#services.paths)) await this.#checksum(file, pace);
    if (this.#everyMs > 0) await this.#round();
  }

  #snapshots(): SnapshotRecord[] {
    return this.#services.snapshots.all().filter(({ complete, kind }) => complete && kind !== 'fork');
  }

  async #checksum(file: string, pace: Pace): Promise<void> {
    const { paths, log } = this.#services;
    if (this.#failed.has(file)) return;
    if ((await isUsable(paths.checksumsOf(file))) || !(await isUsable(file))) return;
    await takeChecksums(paths, file, pace).catch((error: unknown) => {
      this.#stopping.signal.throwIfAborted();
      this.#failed.add(file);
      log.warn({ error, file }, 'the checksums of a file could not be taken');
    });
  }

  async #round(): Promise<void> {
    const { store, clock } = this.#services;
    const last = Round.safeParse((await store.get(roundKey))?.value).data;
    const due = !last || last.ended ? (last?.beganAt ?? 0) + this.#everyMs <= clock.now() : true;
    if (!due) return;
    const beganAt = last && !last.ended ? last.beganAt : clock.now();
    const note = (ended: boolean) => store.commit({ puts: [{ key: roundKey, value: { beganAt, ended } }] });
    await note(false);
    await verifySnapshots(this.#services, this.#snapshots(), this.#pace(compareBytesPerSecond), beganAt);
    await note(true);
  }

  #pace(bytesPerSecond: number): Pace {
    let allowedAt = 0;
    return async (bytes) => {
      const now = performance.now();
      allowedAt = Math.max(allowedAt, now) + (bytes / bytesPerSecond) * 1000;
      await delay(allowedAt - now, undefined, { ref: false, signal: this.#stopping.signal });
    };
  }
}
