// The snapshot room: the tree of snapshots of this host's VMs. A snapshot is a VM as it was at one instant; nothing of it changes later.
// The room owns the records, restore and removal, the schedule, comparisons and checksums. It leaves capturing to vm/capture/, and to
// vm/ what a restored VM does next.
//
//   prepared ─► captured ─► writing its memory ─► complete ─► removed
//   (record)    (paused)    (memory in process)   (files)
//
// registry.ts  the records      restore.ts  schedule/  automatic snapshots    checksum/  damage is noticed
// check-files.ts                remove.ts   diff/      compare two snapshots
import type { Logger } from 'pino';
import type { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import type { Store } from '../store/store.ts';
import { SnapshotRecord, snapshotKey, type UnreadableSnapshot } from '../vm/capture/snapshot-record.ts';
import { problemOf } from '../vm/unreadable.ts';
import { labelOf } from './schedule/policy.ts';

export class SnapshotRegistry {
  readonly #store: Store;
  readonly #byId = new Map<string, { record: SnapshotRecord; revision: number }>();
  readonly #unreadable: Map<string, UnreadableSnapshot>;

  private constructor(store: Store, found: [SnapshotRecord, number][], unreadable: readonly UnreadableSnapshot[]) {
    this.#store = store;
    this.#unreadable = new Map(unreadable.map((one) => [one.id, one]));
    for (const [record, revision] of found) this.#byId.set(record.id, { record, revision });
  }

  static async open(store: Store, log: Logger): Promise<SnapshotRegistry> {
    const found: [SnapshotRecord, number][] = [];
    const unreadable: UnreadableSnapshot[] = [];
    for (const { key, value, revision } of await store.list('snapshot/')) {
      const parsed = SnapshotRecord.safeParse(value);
      if (parsed.success) found.push([parsed.data, revision]);
      else {
        unreadable.push(salvage(key.slice(snapshotKey('').length), value, problemOf(value, parsed.error)));
        log.error({ key, problem: parsed.error.message }, 'a snapshot’s record cannot be read; it is shown as damaged');
      }
    }
    return new SnapshotRegistry(store, found, unreadable);
  }

  all(): SnapshotRecord[] {
    return [...this.#byId.values()].map(({ record }) => record);
  }

  /** Snapshots of a VM, oldest first. */
  of(vm: string): SnapshotRecord[] {
    return this.all()
      .filter((snapshot) => snapshot.vm === vm && snapshot.kind === 'snapshot')
      .sort((one, other) => one.createdAt - other.createdAt);
  }

  unreadable(): UnreadableSnapshot[] {
    return [...this.#unreadable.values()];
  }

  /** The VM's snapshot by id or label, where its record cannot be read. */
  unreadableOf(vm: string, ref: string): UnreadableSnapshot | undefined {
    const all = this.unreadable().filter((one) => one.vm === vm);
    return all.find(({ id }) => id === ref) ?? all.find(({ label }) => label === ref);
  }

  byId(id: string): SnapshotRecord | undefined {
    return this.#byId.get(id)?.record;
  }

  /** @throws not_found when it has been removed meanwhile */
  get(id: string): SnapshotRecord {
    const snapshot = this.byId(id);
    if (!snapshot) throw new VivError('not_found', 'the snapshot has been removed in the meantime');
    return snapshot;
  }

  /** A VM's snapshot by id, label or unique prefix of an id; the newest of several with one label. @throws not_found, ambiguous, corrupt where its record cannot be read */
  find(vm: { id: string; name: string }, ref: string): SnapshotRecord {
    const snapshots = this.of(vm.id).filter((snapshot) => snapshot.complete);
    const named = snapshots.find((snapshot) => snapshot.id === ref) ?? snapshots.findLast((snapshot) => snapshot.label === ref);
    if (named) return named;
    const matching = ref.length >= 3 ? snapshots.filter((snapshot) => snapshot.id.startsWith(ref)) : [];
    if (matching.length > 1)
      throw new VivError('ambiguous', `${ref} matches ${matching.length} snapshots of ${vm.name}; give more of the id`);
    const [only] = matching;
    const damaged = only ? undefined : this.unreadableOf(vm.id, ref);
    if (damaged)
      throw new VivError(
        'corrupt',
        `the snapshot ${ref} of ${vm.name} is lost: ${damaged.why}. Remove it: viv snapshot rm --force ${vm.name} ${ref}`,
      );
    if (!only) throw new VivError('not_found', `${vm.name} has no snapshot ${ref}; viv snapshot ls ${vm.name} lists them`);
    return only;
  }

  /** A label given on request belongs to one snapshot of the VM, so that the right one is removed. @throws name_taken, invalid */
  checkLabel(vm: { id: string; name: string }, { label, auto }: Pick<SnapshotRecord, 'label' | 'auto'>): void {
    if (label === null || auto !== null) return;
    if (label === 'now') throw new VivError('invalid', 'now means the VM itself and cannot be the label of a snapshot. Choose another one');
    if (this.of(vm.id).some((snapshot) => snapshot.label === label || snapshot.id === label) || this.unreadableOf(vm.id, label))
      throw new VivError(
        'name_taken',
        `${vm.name} has a snapshot ${label} already. Choose another label, or remove that one first: viv snapshot rm ${vm.name} ${label}`,
      );
  }

  /** The label of a rule's next snapshot: with a number where the VM has one of that name. */
  automaticLabel(vm: string, rule: string, now: number): string {
    const label = labelOf(rule, now);
    const taken = new Set(this.of(vm).map((snapshot) => snapshot.label));
    let unused = label;
    for (let number = 2; taken.has(unused); number++) unused = `${label}-${number}`;
    return unused;
  }

  /** Enters or replaces a record. Repeatable. */
  async put(record: SnapshotRecord): Promise<void> {
    const { revision } = await this.#store.commit({ puts: [{ key: snapshotKey(record.id), value: record }] });
    this.#byId.set(record.id, { record, revision });
  }

  /** Repeatable. */
  async drop(id: string): Promise<void> {
    if (!this.#byId.has(id) && !this.#unreadable.has(id)) return;
    await this.#store.commit({ deletes: [snapshotKey(id)] });
    this.#byId.delete(id);
    this.#unreadable.delete(id);
  }
}

/** What can be read of it. */
function salvage(id: string, value: unknown, why: string): UnreadableSnapshot {
  const { shape } = SnapshotRecord;
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const read = <T>(schema: z.ZodType<T>, field: string, otherwise: T): T => schema.safeParse(fields[field]).data ?? otherwise;
  return {
    id,
    vm: read(shape.vm, 'vm', ''),
    label: read(shape.label, 'label', null),
    createdAt: read(shape.createdAt, 'createdAt', 0),
    why,
  };
}
