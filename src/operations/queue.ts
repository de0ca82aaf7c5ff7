// Turns: tasks with the same key run one after the other, in order of arrival.
export interface Place<T> {
  readonly who: T;
  /** Resolves when everyone before has left. */
  readonly turn: Promise<void>;
  leave(): void;
}

export class Queues<T> {
  readonly #lines = new Map<string, { who: T; call: () => void }[]>();

  /** Null: nobody waits. */
  enter(key: string | null, who: T): Place<T> {
    if (key === null) return { who, turn: Promise.resolve(), leave: () => {} };
    const line = this.#lines.get(key) ?? [];
    this.#lines.set(key, line);
    const { promise, resolve } = Promise.withResolvers<void>();
    const place = { who, call: resolve };
    line.push(place);
    if (line[0] === place) resolve();
    const leave = () => {
      const index = line.indexOf(place);
      if (index === -1) return;
      line.splice(index, 1);
      if (line.length === 0) this.#lines.delete(key);
      else line[0]?.call();
    };
    return { who, turn: promise, leave };
  }

  /** Whose turn it is. */
  head(key: string): T | undefined {
    return this.#lines.get(key)?.[0]?.who;
  }
}
