// When each session and token was last used (key `access/last-use/<id>`). Apart from their records, which only a change of rights writes, so that a use
// never conflicts with one; written at most once a minute each.
import type { Logger } from 'pino';
import type { Store } from '../../store/store.ts';

const prefix = 'access/last-use/';
const everyMs = 60_000;

export class LastUse {
  readonly #at = new Map<string, number>();
  readonly #store: Store;
  readonly #now: () => number;
  readonly #log: Logger;

  private constructor(store: Store, now: () => number, log: Logger) {
    this.#store = store;
    this.#now = now;
    this.#log = log;
  }

  static async open(store: Store, now: () => number, log: Logger): Promise<LastUse> {
    const uses = new LastUse(store, now, log);
    for (const { key, value } of await store.list(prefix)) if (typeof value === 'number') uses.#at.set(key.slice(prefix.length), value);
    return uses;
  }

  /** Ms since 1970; null: never. */
  of(id: string): number | null {
    return this.#at.get(id) ?? null;
  }

  touch(id: string): void {
    const now = this.#now();
    if (now - (this.#at.get(id) ?? 0) < everyMs) return;
    this.#at.set(id, now);
    void this.#store
      .commit({ puts: [{ key: prefix + id, value: now }] })
      .catch((error: unknown) => this.#log.warn({ err: error, id }, 'the last use of a session or token could not be written'));
  }

  /** Forgets those that are no more. @param exists whether a session or token with this id is there */
  async prune(exists: (id: string) => boolean): Promise<void> {
    const gone = [...this.#at.keys()].filter((id) => !exists(id));
    for (const id of gone) this.#at.delete(id);
    if (gone.length > 0) await this.#store.commit({ deletes: gone.map((id) => prefix + id) });
  }
}
