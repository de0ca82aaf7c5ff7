// Room on the disk that the store alone may use: a file, released when a write finds the disk full, so that what is under way can be ended or undone
// and a VM need not be paused until there is space again; reserved again once there is.
import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Hundreds of records. */
const reserveBytes = 2 * 2 ** 20;
/** It is laid aside where so much more is free: who fills the disk meanwhile is not to find it gone again at once. */
const roomBytes = 32 * 2 ** 20;
const tryAgainMs = 30_000;

export class Reserve {
  readonly #file: string;
  #isThere = false;
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(file: string) {
    this.#file = file;
  }

  /** Never throws; cheap where there is nothing to do. */
  layAside(): void {
    const now = performance.now();
    if (this.#isThere || now - this.#triedMs < tryAgainMs) return;
    this.#triedMs = now;
    try {
      this.#isThere = statSync(this.#file, { throwIfNoEntry: false })?.size === reserveBytes;
      const { bavail, bsize } = statfsSync(dirname(this.#file));
      if (this.#isThere || bavail * bsize < roomBytes) return;
      // Of zeros some file systems keep nothing.
      writeFileSync(this.#file, randomBytes(reserveBytes), { mode: 0o600, flush: true });
      this.#isThere = true;
    } catch {
      rmSync(this.#file, { force: true });
    }
  }

  /** Whether there is more room now. */
  abandon(): boolean {
    const given = this.#isThere;
    this.#isThere = false;
    this.#triedMs = performance.now();
    rmSync(this.#file, { force: true });
    return given;
  }
}
