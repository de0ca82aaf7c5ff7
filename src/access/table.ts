// Records of one kind, all in memory and durable in the store under `<prefix><key>`. A change is planned as writes, which may be of several tables, and
// committed as one guarded transaction; memory follows when it is durable.
import type { Logger } from 'pino';
import type { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { type Store, StoreConflict, type Transaction } from '../store/store.ts';

/** Commits a transaction, with the audit record of the request that causes it. */
export type Commit = (transaction: Transaction) => Promise<{ revision: number }>;

export interface Write {
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: unknown;
  /** What the key's revision must be; 0: absent. */
  readonly revision: number;
  readonly apply: (revision: number) => void;
}

interface Kept<T> {
  readonly record: T;
  readonly revision: number;
}

export class Table<T extends { readonly id: string }> {
  readonly #prefix: string;
  readonly #kept = new Map<string, Kept<T>>();
  readonly #keys = new Map<string, string>();
  /** Keys of records that cannot be read: their rights count for nothing. */
  readonly unreadable: string[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Reads what the store holds. A record that cannot be read is logged and left alone: its rights count for nothing. */
  static async open<T extends { readonly id: string }>(store: Store, prefix: string, schema: z.ZodType<T>, log: Logger): Promise<Table<T>> {
    const table = new Table<T>(prefix);
    for (const { key, value, revision } of await store.list(prefix)) {
      const parsed = schema.safeParse(value);
      if (parsed.success) table.#keep(key.slice(prefix.length), parsed.data, revision);
      else {
        table.unreadable.push(key);
        log.error({ key, problem: parsed.error.message }, 'an access record cannot be read; it grants nothing');
      }
    }
    return table;
  }

  get(key: string): T | undefined {
    return this.#kept.get(key)?.record;
  }

  /** The record with this id, where the key is something else. */
  find(id: string): T | undefined {
    const key = this.#keys.get(id);
    return key === undefined ? undefined : this.get(key);
  }

  /** In the order of the keys. */
  all(): T[] {
    return this.entries().map(([, record]) => record);
  }

  entries(): [string, T][] {
    const keys = [...this.#kept.keys()].sort();
    return keys.map((key) => [key, (this.#kept.get(key) as Kept<T>).record]);
  }

  get size(): number {
    return this.#kept.size;
  }

  put(key: string, record: T): Write {
    return {
      key: this.#prefix + key,
      value: record,
      revision: this.#kept.get(key)?.revision ?? 0,
      apply: (revision) => this.#keep(key, record, revision),
    };
  }

  drop(key: string): Write {
    return {
      key: this.#prefix + key,
      value: undefined,
      revision: this.#kept.get(key)?.revision ?? 0,
      apply: () => this.#forget(key),
    };
  }

  #keep(key: string, record: T, revision: number): void {
    this.#kept.set(key, { record, revision });
    this.#keys.set(record.id, key);
  }

  #forget(key: string): void {
    const id = this.#kept.get(key)?.record.id;
    this.#kept.delete(key);
    if (id !== undefined && this.#keys.get(id) === key) this.#keys.delete(id);
  }
}

/** Makes the writes durable, all or none. @throws busy when one of the records was changed meanwhile */
export async function write(commit: Commit, ...writes: readonly Write[]): Promise<void> {
  const puts = writes.filter(({ value }) => value !== undefined);
  const deletes = writes.filter(({ value }) => value === undefined);
  try {
    const { revision } = await commit({
      guards: writes.map(({ key, revision }) => ({ key, revision })),
      puts: puts.map(({ key, value }) => ({ key, value })),
      deletes: deletes.map(({ key }) => key),
    });
    for (const one of writes) one.apply(revision);
  } catch (error) {
    if (!(error instanceof StoreConflict)) throw error;
    throw new VivError('busy', 'the record was changed by another request meanwhile; look at it and try again', { cause: error });
  }
}
