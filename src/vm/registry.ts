// The VMs of this host, by id and name, as the store has them: a registry of VMs and nothing else.
import type { Logger } from 'pino';
import { someOf, VivError } from '../contract/errors.ts';
import type { EventBus } from '../host/event-bus.ts';
import type { Paths } from '../host/paths.ts';
import type { Store } from '../store/store.ts';
import { nameKey, VmRecord, vmKey } from './record.ts';
import type { VmEvents } from './vm.ts';
import { Vm } from './vm.ts';

export interface RegistryOptions {
  readonly paths: Paths;
  readonly store: Store;
  readonly log: Logger;
  readonly bus: EventBus<VmEvents>;
  /** Port forwards of the VM with this id, as its view shows them. */
  readonly forwardsOf: (id: string) => readonly string[];
}

export class VmRegistry {
  readonly #options: RegistryOptions;
  readonly #byId = new Map<string, Vm>();
  readonly #byName = new Map<string, Vm>();
  /** Records that this version cannot read, as JSON, by id: their VMs keep everything they have. */
  readonly #unreadable = new Map<string, string>();
  /** What list() returns, until something changes. */
  #sorted: readonly Vm[] | null = null;

  private constructor(options: RegistryOptions) {
    this.#options = options;
    options.bus.on('vm.changed', () => {
      this.#sorted = null;
    });
  }

  /** Reads every VM from the store. Processes are adopted later (lifecycle/adopt.ts). */
  static async open(options: RegistryOptions): Promise<VmRegistry> {
    const vms = new VmRegistry(options);
    for (const { key, value, revision } of await options.store.list('vm/')) {
      const parsed = VmRecord.safeParse(value);
      if (parsed.success) vms.#add(parsed.data, revision);
      else {
        vms.#unreadable.set(key.slice(vmKey('').length), JSON.stringify(value));
        options.log.error({ key, problem: parsed.error.message }, 'the record of a VM cannot be read; the VM is left alone');
      }
    }
    return vms;
  }

  /** VMs that are complete, by name. */
  list(): readonly Vm[] {
    this.#sorted ??= this.all()
      .filter((vm) => vm.record.complete)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    return this.#sorted;
  }

  /** All VMs, those that are still being created included. */
  all(): Vm[] {
    return [...this.#byId.values()];
  }

  byId(id: string): Vm | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): Vm | undefined {
    return this.#byName.get(name);
  }

  /** How many records this version cannot read. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** Whether the store has a VM with this id, readable or not. */
  knows(id: string): boolean {
    return this.#byId.has(id) || this.#unreadable.has(id);
  }

  /** The VM with this id. @throws not_found when it has been removed meanwhile */
  get(id: string): Vm {
    const vm = this.#byId.get(id);
    if (!vm) throw new VivError('not_found', 'the VM has been removed in the meantime');
    return vm;
  }

  /**
   * By name, id or unique prefix of an id.
   * @param among which VMs there are for the caller; default: all
   * @throws not_found, ambiguous
   */
  find(ref: string, among: (vm: Vm) => boolean = () => true): Vm {
    const exact = this.#byName.get(ref) ?? this.#byId.get(ref);
    if (exact?.record.complete && among(exact)) return exact;
    const matching = ref.length >= 3 ? this.list().filter((vm) => vm.id.startsWith(ref) && among(vm)) : [];
    if (matching.length > 1)
      throw new VivError(
        'ambiguous',
        `${ref} matches ${matching.length} VMs: ${someOf(matching.map(({ name }) => name))}; give more of the id`,
      );
    const [only] = matching;
    if (!only) throw new VivError('not_found', `there is no VM named ${ref}; viv ls lists them`);
    return only;
  }

  nameTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Ids of the VMs whose record cannot be read and contains this text. */
  unreadableWith(text: string): string[] {
    return [...this.#unreadable].flatMap(([id, record]) => (record.includes(text) ? [id] : []));
  }

  /** Enters a new VM under its name. @throws name_taken */
  async insert(record: VmRecord): Promise<Vm> {
    try {
      const { revision } = await this.#options.store.commit({
        guards: [
          { key: nameKey(record.name), revision: 0 },
          { key: vmKey(record.id), revision: 0 },
        ],
        puts: [
          { key: vmKey(record.id), value: record },
          { key: nameKey(record.name), value: record.id },
        ],
      });
      return this.#add(record, revision);
    } catch (error) {
      if ((error as Error).name === 'StoreConflict') throw nameTaken(record.name, error);
      throw error;
    }
  }

  /** Gives it another name, and makes the other changes in the same commit. @throws name_taken, what `change` throws */
  async rename(vm: Vm, name: string, change: () => Partial<VmRecord> = () => ({})): Promise<void> {
    const old = vm.name;
    try {
      await vm.update(() => ({ ...change(), name }), {
        guards: [{ key: nameKey(name), revision: 0 }],
        puts: [{ key: nameKey(name), value: vm.id }],
        deletes: [nameKey(old)],
      });
    } catch (error) {
      if ((error as Error).name === 'StoreConflict') throw nameTaken(name, error);
      throw error;
    }
    this.#byName.delete(old);
    this.#byName.set(name, vm);
    this.#sorted = null;
  }

  /** Forgets a VM. Repeatable. */
  async drop(id: string): Promise<void> {
    const vm = this.#byId.get(id);
    if (!vm) return;
    await this.#options.store.commit({ deletes: [vmKey(id), nameKey(vm.name)] });
    this.#byId.delete(id);
    this.#sorted = null;
    if (this.#byName.get(vm.name) === vm) this.#byName.delete(vm.name);
    vm.changed();
  }

  #add(record: VmRecord, revision: number): Vm {
    const { paths, store, bus, forwardsOf } = this.#options;
    const vm = new Vm({ record, revision, paths: paths.vm(record.id), store, bus, forwards: () => forwardsOf(record.id) });
    this.#sorted = null;
    this.#byId.set(record.id, vm);
    this.#byName.set(record.name, vm);
    return vm;
  }
}

export function nameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the name ${name} is taken; choose another one or remove that VM first`, { cause });
}
