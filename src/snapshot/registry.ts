// All points of this host's machines, as the store has them.
import type { Logger } from 'pino';
import { VivError } from '../contract/errors.ts';
import type { Store } from '../store/store.ts';
import { PointRecord, pointKey } from '../vm/capture/snapshot-record.ts';
import { labelOf } from './schedule/policy.ts';

export class Points {
  readonly #store: Store;
  readonly #byId = new Map<string, { record: PointRecord; revision: number }>();
  /** Records that this version cannot read: their files are not known, so no layer is removed. */
  readonly unreadable: number;

  private constructor(store: Store, found: [PointRecord, number][], unreadable: number) {
    this.#store = store;
    this.unreadable = unreadable;
    for (const [record, revision] of found) this.#byId.set(record.id, { record, revision });
  }

  static async open(store: Store, log: Logger): Promise<Points> {
    const found: [PointRecord, number][] = [];
    let unreadable = 0;
    for (const { key, value, revision } of await store.list('point/')) {
      const parsed = PointRecord.safeParse(value);
      if (parsed.success) found.push([parsed.data, revision]);
      else {
        unreadable += 1;
        log.error({ key, problem: parsed.error.message }, 'a point’s record cannot be read; it is left alone');
      }
    }
    return new Points(store, found, unreadable);
  }

  all(): PointRecord[] {
    return [...this.#byId.values()].map(({ record }) => record);
  }

  /** Snapshots of a machine, oldest first. */
  of(vm: string): PointRecord[] {
    return this.all()
      .filter((point) => point.vm === vm && point.kind === 'snapshot')
      .sort((one, other) => one.createdAt - other.createdAt);
  }

  byId(id: string): PointRecord | undefined {
    return this.#byId.get(id)?.record;
  }

  /** @throws not_found when it has been removed meanwhile */
  get(id: string): PointRecord {
    const point = this.byId(id);
    if (!point) throw new VivError('not_found', 'the point has been removed meanwhile');
    return point;
  }

  /** A machine's snapshot by id, label or unique prefix of an id; the newest of several with one label. @throws not_found, ambiguous */
  find(vm: { id: string; name: string }, ref: string): PointRecord {
    const points = this.of(vm.id).filter((point) => point.complete);
    const named = points.find((point) => point.id === ref) ?? points.findLast((point) => point.label === ref);
    if (named) return named;
    const matching = ref.length >= 3 ? points.filter((point) => point.id.startsWith(ref)) : [];
    if (matching.length > 1) throw new VivError('ambiguous', `${ref} fits ${matching.length} points of ${vm.name}; give more of the id`);
    const [only] = matching;
    if (!only) throw new VivError('not_found', `${vm.name} has no point ${ref}; viv snapshot ls ${vm.name} lists them`);
    return only;
  }

  /** One name that somebody gives means one point, lest the wrong one is removed. @throws name_taken, invalid */
  checkLabel(vm: { id: string; name: string }, { label, auto }: Pick<PointRecord, 'label' | 'auto'>): void {
    if (label === null || auto !== null) return;
    if (label === 'now') throw new VivError('invalid', 'now is the machine as it is, and cannot be the name of a point; choose another');
    if (this.of(vm.id).some((point) => point.label === label || point.id === label))
      throw new VivError(
        'name_taken',
        `${vm.name} has a point ${label} already; choose another name, or remove that one first: viv snapshot rm ${vm.name} ${label}`,
      );
  }

  /** What a rule's next point is called: with a number after it where the machine has one of that name. */
  automaticLabel(vm: string, rule: string, now: number): string {
    const label = labelOf(rule, now);
    const taken = new Set(this.of(vm).map((point) => point.label));
    let unused = label;
    for (let number = 2; taken.has(unused); number++) unused = `${label}-${number}`;
    return unused;
  }

  /** Enters or renews it. Repeatable. */
  async put(record: PointRecord): Promise<void> {
    const { revision } = await this.#store.commit({ puts: [{ key: pointKey(record.id), value: record }] });
    this.#byId.set(record.id, { record, revision });
  }

  /** Repeatable. */
  async drop(id: string): Promise<void> {
    if (!this.#byId.has(id)) return;
    await this.#store.commit({ deletes: [pointKey(id)] });
    this.#byId.delete(id);
  }
}
