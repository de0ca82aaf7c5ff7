// Turns: tasks with the same key run one after the other, in order of arrival.
export interface Place<T> {
  readonly who: T;
  /** Resolves when all before it have left. */
  readonly turn: Promise<void>;
  leave(): void;
}

export class Queues<T> {
  readonly #lines = new Map<string, { who: T; start: () => void }[]>();
  readonly #emptied = new Map<string, PromiseWithResolvers<void>>();

  /** @param key null: no queue, its turn is now */
  enter(key: string | null, who: T): Place<T> {
    if (key === null) return { who, turn: Promise.resolve(), leave: () => {} };
    const line = this.#lines.get(key) ?? [];
    this.#lines.set(key, line);
    const { promise, resolve } = Promise.withResolvers<void>();
    const place = { who, start: resolve };
    line.push(place);
    if (line[0] === place) resolve();
    const leave = () => {
      const index = line.indexOf(place);
      if (index === -1) return;
      line.splice(index, 1);
      if (line.length > 0) return line[0]?.start();
      this.#lines.delete(key);
      this.#emptied.get(key)?.resolve();
      this.#emptied.delete(key);
    };
    return { who, turn: promise, leave };
  }

  /** Resolves when the queue is empty. */
  async empty(key: string): Promise<void> {
    while (this.#lines.has(key)) {
      const emptied = this.#emptied.get(key) ?? Promise.withResolvers<void>();
      this.#emptied.set(key, emptied);
      await emptied.promise;
    }
  }

  /** The one whose turn it is. */
  head(key: string): T | undefined {
    return this.#lines.get(key)?.[0]?.who;
  }
}
