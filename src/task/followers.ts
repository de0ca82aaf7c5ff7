// Those who follow a task: they hear of every change, and of progress only so often.

/** Followers hear of progress at most this often. */
const progressEveryMs = 100;

export class TaskFollowers {
  readonly #listeners = new Set<() => void>();
  #progressTimer: NodeJS.Timeout | undefined;

  tell(): void {
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    for (const hear of this.#listeners) hear();
  }

  /** For what changes often. */
  tellSoon(): void {
    if (this.#listeners.size > 0) this.#progressTimer ??= setTimeout(() => this.tell(), progressEveryMs).unref();
  }

  /** Comes at once, then after every change (once for all that came in between), until the signal aborts. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    let changed = Promise.withResolvers<void>();
    const hear = () => changed.resolve();
    this.#listeners.add(hear);
    signal.addEventListener('abort', hear, { once: true });
    try {
      do {
        changed = Promise.withResolvers<void>();
        yield;
        await changed.promise;
      } while (!signal.aborted);
    } finally {
      this.#listeners.delete(hear);
      signal.removeEventListener('abort', hear);
    }
  }
}
