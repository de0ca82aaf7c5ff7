// Warm pools as the store has them, key `pool/<name>`, and the ready machines in them: forks of a point whose process has loaded
// everything and stands still before the guest's next instruction. Their records name the pool and are not complete.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { Name, Time } from '../contract/field.ts';
import { type Kind, NamedRecords, readRecords } from '../store/named-records.ts';
import type { Store } from '../store/store.ts';
import type { Machine } from '../vm/vm.ts';

export const PoolRecord = z.object({
  name: Name,
  /** The machine whose point it is. */
  vm: z.string(),
  point: z.string(),
  size: z.int(),
  createdAt: Time,
});
export type PoolRecord = z.infer<typeof PoolRecord>;

const kind: Kind<PoolRecord> = {
  noun: 'pool',
  schema: PoolRecord,
  notFound: (name) => new VivError('not_found', `there is no pool named ${name}; viv pool ls lists them`),
  nameTaken: poolNameTaken,
};

export class Pools extends NamedRecords<PoolRecord> {
  /** Machines that a task is about to make its own, by their ids: the names they get, and the task's id. */
  readonly #chosen = new Map<string, { name: string; task: string }>();
  /** Why a pool is not full and not being filled, by its name. */
  readonly problems = new Map<string, string>();

  static async open(store: Store, log: Logger): Promise<Pools> {
    return new Pools(store, kind, await readRecords(store, kind, log));
  }

  async setSize(name: string, size: number): Promise<void> {
    await this.put({ ...this.get(name), size });
  }

  /** Whether someone is about to take this machine. */
  isChosen({ id }: Machine): boolean {
    return this.#chosen.has(id);
  }

  /** Whether a machine that is being taken gets this name. */
  isNameChosen(name: string): boolean {
    return [...this.#chosen.values()].some((chosen) => chosen.name === name);
  }

  choose({ id, name }: { id: string; name: string }, task: string): void {
    this.#chosen.set(id, { name, task });
  }

  /** What a task has chosen, also where it does not know of it any more. */
  letGo(task: string): void {
    for (const [id, chosen] of this.#chosen) if (chosen.task === task) this.#chosen.delete(id);
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
