// The latest changes of a store, kept in memory for watchers. Each watcher reads at its own pace from one shared ring, so a
// slow one costs nothing; one that falls behind the ring gets StoreCompacted and has to list again.
import { type Change, StoreCompacted } from './store.ts';

/** A change as it is kept: the value still as JSON, so that no two watchers share an object. */
export interface KeptChange {
  readonly key: string;
  /** Undefined: deleted. */
  readonly json: string | undefined;
  readonly revision: number;
}

const mostChanges = 8192;
const mostCharacters = 8 * 1024 * 1024;

export class ChangeRing {
  #kept: KeptChange[] = [];
  /** Position (counted from the ring's beginning of time) of #kept[0]. */
  #first = 0;
  #characters = 0;
  /** Changes up to this revision may be gone. */
  #horizon: number;
  #waiting = new Set<{ prefix: string; wake: () => void }>();
  #closed = false;

  constructor(revision: number) {
    this.#horizon = revision;
  }

  push(changes: readonly KeptChange[]): void {
    for (const change of changes) {
      this.#kept.push(change);
      this.#characters += change.key.length + (change.json?.length ?? 0);
    }
    if (this.#kept.length > mostChanges * 2 || this.#characters > mostCharacters * 2) this.#trim();
    for (const waiter of this.#waiting) {
      if (changes.some((change) => change.key.startsWith(waiter.prefix))) waiter.wake();
    }
  }

  /** Half of the ring goes at a time, so that trimming costs little per change. */
  #trim(): void {
    let count = 0;
    while (this.#kept.length - count > mostChanges || (this.#characters > mostCharacters && count < this.#kept.length)) {
      const gone = this.#kept[count] as KeptChange;
      this.#characters -= gone.key.length + (gone.json?.length ?? 0);
      this.#horizon = gone.revision;
      count++;
    }
    this.#kept.splice(0, count);
    this.#first += count;
  }

  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiting) waiter.wake();
  }

  /** Where a watch from this revision begins. Fixed when it is asked, so that nothing committed afterwards is missed. */
  position(fromRevision: number | undefined): number {
    if (fromRevision === undefined) return this.#first + this.#kept.length;
    if (fromRevision < this.#horizon) throw new StoreCompacted(fromRevision);
    const index = this.#kept.findIndex((change) => change.revision > fromRevision);
    return this.#first + (index === -1 ? this.#kept.length : index);
  }

  async *read(prefix: string, start: number, signal: AbortSignal): AsyncGenerator<Change> {
    let position = start;
    while (!signal.aborted && !this.#closed) {
      if (position < this.#first) throw new StoreCompacted(this.#horizon);
      const change = this.#kept[position - this.#first];
      if (change === undefined) {
        await this.#next(prefix, signal);
        continue;
      }
      position++;
      if (!change.key.startsWith(prefix)) continue;
      const { key, json, revision } = change;
      yield json === undefined ? { type: 'delete', key, revision } : { type: 'put', key, value: JSON.parse(json), revision };
    }
  }

  /** Resolves at the next change under the prefix, at close, or when the signal aborts. */
  #next(prefix: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiter = {
        prefix,
        wake: () => {
          this.#waiting.delete(waiter);
          signal.removeEventListener('abort', waiter.wake);
          resolve();
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', waiter.wake, { once: true });
      if (signal.aborted) waiter.wake();
    });
  }
}
