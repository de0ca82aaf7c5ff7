// Warm pools as the store has them, key `pool/<name>`, and the ready machines in them: forks of a point whose process has loaded
// everything and stands still before the guest's next instruction. Their records name the pool and are not complete.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { Name, Time } from '../contract/field.ts';
import { type Store, StoreConflict } from '../store/store.ts';
import type { Machine } from './runner.ts';

export const PoolRecord = z.object({
  name: Name,
  /** The machine whose point it is. */
  vm: z.string(),
  point: z.string(),
  size: z.int(),
  createdAt: Time,
});
export type PoolRecord = z.infer<typeof PoolRecord>;

const poolKey = (name: string) => `pool/${name}`;

export class Pools {
  readonly #store: Store;
  readonly #byName = new Map<string, PoolRecord>();
  /** Machines that a task is about to make its own, and the names they get. */
  readonly #chosen = new Map<string, string>();
  /** Why a pool is not full and not being filled, by its name. */
  readonly problems = new Map<string, string>();

  private constructor(store: Store, found: readonly PoolRecord[]) {
    this.#store = store;
    for (const pool of found) this.#byName.set(pool.name, pool);
  }

  static async open(store: Store, log: Logger): Promise<Pools> {
    const found: PoolRecord[] = [];
    for (const { key, value } of await store.list('pool/')) {
      const parsed = PoolRecord.safeParse(value);
      if (parsed.success) found.push(parsed.data);
      else log.error({ key, problem: parsed.error.message }, 'a pool’s record cannot be read; it is left alone');
    }
    return new Pools(store, found);
  }

  /** By name. */
  all(): PoolRecord[] {
    return [...this.#byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  byName(name: string): PoolRecord | undefined {
    return this.#byName.get(name);
  }

  /** @throws not_found */
  get(name: string): PoolRecord {
    const pool = this.#byName.get(name);
    if (!pool) throw new VivError('not_found', `there is no pool named ${name}; viv pool ls lists them`);
    return pool;
  }

  /** Enters a new one. Repeatable. @throws name_taken */
  async insert(pool: PoolRecord): Promise<void> {
    if (this.#byName.get(pool.name)?.createdAt === pool.createdAt) return;
    try {
      await this.#store.commit({ guards: [{ key: poolKey(pool.name), revision: 0 }], puts: [{ key: poolKey(pool.name), value: pool }] });
    } catch (error) {
      if (error instanceof StoreConflict) throw poolNameTaken(pool.name, error);
      throw error;
    }
    this.#byName.set(pool.name, pool);
  }

  async setSize(name: string, size: number): Promise<void> {
    const pool = { ...this.get(name), size };
    await this.#store.commit({ puts: [{ key: poolKey(name), value: pool }] });
    this.#byName.set(name, pool);
  }

  /** Repeatable. */
  async drop(name: string): Promise<void> {
    if (!this.#byName.has(name)) return;
    await this.#store.commit({ deletes: [poolKey(name)] });
    this.#byName.delete(name);
  }

  /** Whether someone is about to take this machine. */
  isChosen({ id }: Machine): boolean {
    return this.#chosen.has(id);
  }

  /** Whether a machine that is being taken gets this name. */
  isNameChosen(name: string): boolean {
    return [...this.#chosen.values()].includes(name);
  }

  choose({ id, name }: { id: string; name: string }): void {
    this.#chosen.set(id, name);
  }

  letGo({ id }: { id: string }): void {
    this.#chosen.delete(id);
  }

  /** Pools need their points, and the machines that these are of. @throws in_use naming the first pool */
  checkUnused(what: { point: string; label: string } | { vm: string; name: string }): void {
    const pool = this.all().find(({ vm, point }) => ('point' in what ? point === what.point : vm === what.vm));
    if (!pool) return;
    const why =
      'point' in what ? `the pool ${pool.name} is made of ${what.label}` : `the pool ${pool.name} is made of a point of ${what.name}`;
    throw new VivError('in_use', `${why}; remove the pool first: viv pool rm ${pool.name}`, { details: { pool: pool.name } });
  }
}

export function poolNameTaken(name: string, cause?: unknown): VivError {
  return new VivError(
    'name_taken',
    `there is a pool named ${name} already; choose another name, or change its size: viv pool set ${name} --size N`,
    {
      cause,
    },
  );
}
