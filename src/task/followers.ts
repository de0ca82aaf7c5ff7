// Who follows a task: notified of every change, and of progress at most every 100 ms.
const progressEveryMs = 100;

export class TaskFollowers {
  readonly #listeners = new Set<() => void>();
  #progressTimer: NodeJS.Timeout | undefined;

  notify(): void {
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    for (const listener of this.#listeners) listener();
  }

  /** Has `listener` called with every change, for as long as the task is in memory. */
  add(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** For progress and log lines, which change often. */
  notifySoon(): void {
    if (this.#listeners.size > 0) this.#progressTimer ??= setTimeout(() => this.notify(), progressEveryMs).unref();
  }

  /** Yields at once, then after every change (once for several in between), until the signal aborts. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    let changed = Promise.withResolvers<void>();
    const listener = () => changed.resolve();
    this.#listeners.add(listener);
    signal.addEventListener('abort', listener, { once: true });
    try {
      do {
        changed = Promise.withResolvers<void>();
        yield;
        await changed.promise;
      } while (!signal.aborted);
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', listener);
    }
  }
}
