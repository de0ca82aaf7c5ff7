// Records that the store has under their name, key `<noun>/<name>`: networks and pools.
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { VivError } from '../contract/errors.ts';
import { type Store, StoreConflict } from './store.ts';

interface Named {
  readonly name: string;
  readonly createdAt: number;
}

export interface Kind<T extends Named> {
  /** `network`: how keys begin, and what it is called. */
  readonly noun: string;
  readonly schema: z.ZodType<T>;
  readonly notFound: (name: string) => VivError;
  readonly nameTaken: (name: string, cause?: unknown) => VivError;
}

/** What the store has of a kind. */
export async function readRecords<T extends Named>(store: Store, { noun, schema }: Kind<T>, log: Logger): Promise<T[]> {
  const found: T[] = [];
  for (const { key, value } of await store.list(`${noun}/`)) {
    const parsed = schema.safeParse(value);
    if (parsed.success) found.push(parsed.data);
    else log.error({ key, problem: parsed.error.message }, `a ${noun}’s record cannot be read; it is left alone`);
  }
  return found;
}

export class NamedRecords<T extends Named> {
  readonly #store: Store;
  readonly #kind: Kind<T>;
  readonly #byName = new Map<string, T>();

  constructor(store: Store, kind: Kind<T>, found: readonly T[]) {
    this.#store = store;
    this.#kind = kind;
    for (const record of found) this.#byName.set(record.name, record);
  }

  /** By name. */
  all(): T[] {
    return [...this.#byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  byName(name: string): T | undefined {
    return this.#byName.get(name);
  }

  /** @throws not_found */
  get(name: string): T {
    const record = this.#byName.get(name);
    if (!record) throw this.missing(name);
    return record;
  }

  /** The error for a name that none has. */
  missing(name: string): VivError {
    return this.#kind.notFound(name);
  }

  /** Enters a new one. Repeatable. @throws name_taken */
  async insert(record: T): Promise<void> {
    const { name, createdAt } = record;
    if (this.#byName.get(name)?.createdAt === createdAt) return;
    const key = this.#key(name);
    try {
      await this.#store.commit({ guards: [{ key, revision: 0 }], puts: [{ key, value: record }] });
    } catch (error) {
      if (error instanceof StoreConflict) throw this.#kind.nameTaken(name, error);
      throw error;
    }
    this.#byName.set(name, record);
  }

  /** Renews one that is there. */
  async put(record: T): Promise<void> {
    await this.#store.commit({ puts: [{ key: this.#key(record.name), value: record }] });
    this.#byName.set(record.name, record);
  }

  /** Repeatable. */
  async drop(name: string): Promise<void> {
    const record = this.#byName.get(name);
    if (!record) return;
    // At once, so that nobody makes use of it meanwhile.
    this.#byName.delete(name);
    try {
      await this.#store.commit({ deletes: [this.#key(name)] });
    } catch (error) {
      this.#byName.set(name, record);
      throw error;
    }
  }

  #key(name: string): string {
    return `${this.#kind.noun}/${name}`;
  }
}
