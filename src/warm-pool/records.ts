// Warm pools as the store has them, key `warm-pool/<name>`.
import type { Logger } from 'pino';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { Name, Time } from '../contract/field.ts';
import { type Kind, NamedRecords, readRecords } from '../store/named-records.ts';
import type { Store } from '../store/store.ts';
import type { Vm } from '../vm/vm.ts';

export const WarmPoolRecord = z.object({
  name: Name,
  /** The VM whose snapshot it is. */
  vm: z.string(),
  snapshot: z.string(),
  size: z.int(),
  createdAt: Time,
});
export type WarmPoolRecord = z.infer<typeof WarmPoolRecord>;

const kind: Kind<WarmPoolRecord> = {
  noun: 'warm-pool',
  schema: WarmPoolRecord,
  notFound: (name) => new VivError('not_found', `there is no warm pool named ${name}; viv warm-pool ls lists them`),
  nameTaken: warmPoolNameTaken,
};

export class WarmPoolRegistry extends NamedRecords<WarmPoolRecord> {
  /** Members that a task is taking, by id: the names they get, and the task's id. */
  readonly #chosen = new Map<string, { name: string; task: string }>();
  /** Why a warm pool is not full and not being filled, by name. */
  readonly problems = new Map<string, string>();

  static async open(store: Store, log: Logger): Promise<WarmPoolRegistry> {
    return new WarmPoolRegistry(store, kind, await readRecords(store, kind, log));
  }

  async setSize(name: string, size: number): Promise<void> {
    await this.put({ ...this.get(name), size });
  }

  /** Whether a task is taking this VM. */
  isChosen({ id }: Vm): boolean {
    return this.#chosen.has(id);
  }

  /** Whether a member that is being taken gets this name. */
  isNameChosen(name: string): boolean {
    return [...this.#chosen.values()].some((chosen) => chosen.name === name);
  }

  choose({ id, name }: { id: string; name: string }, task: string): void {
    this.#chosen.set(id, { name, task });
  }

  /** Releases what a task has chosen. */
  release(task: string): void {
    for (const [id, chosen] of this.#chosen) if (chosen.task === task) this.#chosen.delete(id);
  }

  /** Warm pools need their snapshots, and the VMs that these are of. @throws in_use naming the first warm pool */
  checkUnused(what: { snapshot: string; label: string } | { vm: string; name: string }): void {
    const warmPool = this.all().find(({ vm, snapshot }) => ('snapshot' in what ? snapshot === what.snapshot : vm === what.vm));
    if (!warmPool) return;
    const why =
      'snapshot' in what
        ? `the warm pool ${warmPool.name} is filled from ${what.label}`
        : `the warm pool ${warmPool.name} is filled from a snapshot of ${what.name}`;
    throw new VivError('in_use', `${why}; remove the warm pool first: viv warm-pool rm ${warmPool.name}`, {
      details: { warmPool: warmPool.name },
    });
  }
}

export function warmPoolNameTaken(name: string, cause?: unknown): VivError {
  return new VivError(
    'name_taken',
    `there is a warm pool named ${name} already; choose another name, or change its size: viv warm-pool set ${name} --size N`,
    {
      cause,
    },
  );
}
