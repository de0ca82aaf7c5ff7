// Single-use secrets that live in memory only: links for the set-up and for recovery, and console tickets. A restart of the daemon ends them.
import { hashOf, newSecret } from '../secret.ts';

const mostKept = 1000;

interface Kept<T> {
  readonly value: T;
  readonly expiresAt: number;
}

export class SingleUse<T> {
  readonly #kept = new Map<string, Kept<T>>();
  readonly #kind: 'link' | 'ticket';
  readonly #lifeMs: number;
  readonly #now: () => number;

  constructor(kind: 'link' | 'ticket', lifeMs: number, now: () => number) {
    this.#kind = kind;
    this.#lifeMs = lifeMs;
    this.#now = now;
  }

  make(value: T): { secret: string; expiresAt: number } {
    const now = this.#now();
    for (const [key, { expiresAt }] of this.#kept) if (expiresAt <= now) this.#kept.delete(key);
    while (this.#kept.size >= mostKept) this.#kept.delete(this.#kept.keys().next().value as string);
    const secret = newSecret(this.#kind);
    const expiresAt = now + this.#lifeMs;
    this.#kept.set(hashOf(secret), { value, expiresAt });
    return { secret, expiresAt };
  }

  /** What it stands for, once; undefined: unknown, used or expired. */
  redeem(secret: string): T | undefined {
    const key = hashOf(secret);
    const found = this.#kept.get(key);
    this.#kept.delete(key);
    return found && found.expiresAt > this.#now() ? found.value : undefined;
  }

  /** What it stands for, without using it up. */
  look(secret: string): T | undefined {
    const found = this.#kept.get(hashOf(secret));
    return found && found.expiresAt > this.#now() ? found.value : undefined;
  }

  /** Ends those that `which` names. */
  revoke(which: (value: T) => boolean): void {
    for (const [key, { value }] of this.#kept) if (which(value)) this.#kept.delete(key);
  }
}
