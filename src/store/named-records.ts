// Records that the store has under their name, key `<noun>/<name>`: networks and pools.
import type { Logger } from 'pino';
import type { z } from 'zod';
import { VivError } from '../contract/errors.ts';
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

/** Why a record cannot be read, as a clause. */
export function whyUnreadable({ issues: [issue] }: z.ZodError): string {
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  return `its record cannot be read (${where}${issue?.message ?? 'it is no record'})`;
}

/** A record that cannot be read. Its name stays taken, and nothing but its removal is done with it. */
export interface UnreadableRecord {
  readonly name: string;
  /** Why, as a clause. */
  readonly why: string;
}

export interface FoundRecords<T extends Named> {
  readonly records: readonly T[];
  readonly unreadable: readonly UnreadableRecord[];
}

/** The records of one kind, as read from the store. */
export async function readRecords<T extends Named>(store: Store, { noun, schema }: Kind<T>, log: Logger): Promise<FoundRecords<T>> {
  const records: T[] = [];
  const unreadable: UnreadableRecord[] = [];
  for (const { key, value } of await store.list(`${noun}/`)) {
    const parsed = schema.safeParse(value);
    if (parsed.success) {
      records.push(parsed.data);
      continue;
    }
    unreadable.push({ name: key.slice(noun.length + 1), why: whyUnreadable(parsed.error) });
    log.error({ key, problem: parsed.error.message }, `a ${noun}’s record cannot be read`);
  }
  return { records, unreadable };
}

export class NamedRecords<T extends Named> {
  readonly #store: Store;
  readonly #kind: Kind<T>;
  readonly #byName = new Map<string, T>();
  readonly #unreadable: Map<string, UnreadableRecord>;

  constructor(store: Store, kind: Kind<T>, { records, unreadable }: FoundRecords<T>) {
    this.#store = store;
    this.#kind = kind;
    this.#unreadable = new Map(unreadable.map((one) => [one.name, one]));
    for (const record of records) this.#byName.set(record.name, record);
  }

  get noun(): string {
    return this.#kind.noun;
  }

  unreadable(): UnreadableRecord[] {
    return [...this.#unreadable.values()];
  }

  unreadableOf(name: string): UnreadableRecord | undefined {
    return this.#unreadable.get(name);
  }

  /** Removes one whose record cannot be read. @returns false: there is none of this name */
  async dropUnreadable(name: string): Promise<boolean> {
    if (!this.#unreadable.has(name)) return false;
    await this.#store.commit({ deletes: [this.#key(name)] });
    this.#unreadable.delete(name);
    return true;
  }

  /** By name. */
  all(): T[] {
    return [...this.#byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  byName(name: string): T | undefined {
    return this.#byName.get(name);
  }

  /** @throws not_found, corrupt where its record cannot be read */
  get(name: string): T {
    const record = this.#byName.get(name);
    if (!record) throw this.missing(name);
    return record;
  }

  /** The error for a name that none has, or none that can be read. */
  missing(name: string): VivError {
    const unreadable = this.#unreadable.get(name);
    if (unreadable) {
      const noun = this.noun.replace('-', ' ');
      return new VivError(
        'corrupt',
        `the ${noun} ${name} cannot be used: ${unreadable.why}. To remove it: viv ${this.noun} rm --force ${name}`,
      );
    }
    return this.#kind.notFound(name);
  }

  /** Adds a record. Repeatable. @throws name_taken */
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

  /** Replaces an existing record. */
  async put(record: T): Promise<void> {
    await this.#store.commit({ puts: [{ key: this.#key(record.name), value: record }] });
    this.#byName.set(record.name, record);
  }

  /** Repeatable. */
  async drop(name: string): Promise<void> {
    const record = this.#byName.get(name);
    if (!record) return;
    // Immediately, so that it is not used meanwhile.
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
