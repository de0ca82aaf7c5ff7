// The VMs of this host, by id and name, as the store has them: a registry of VMs and nothing else.
import type { Logger } from 'pino';
import { someOf, VivError } from '../contract/errors.ts';
import type { EventBus } from '../host/event-bus.ts';
import type { Paths } from '../host/paths.ts';
import type { Store } from '../store/store.ts';
import { nameKey, VmRecord, vmKey } from './record.ts';
import { problemOf, salvage } from './unreadable.ts';
import type { VmEvents } from './vm.ts';
import { Vm } from './vm.ts';

export interface RegistryOptions {
  readonly paths: Paths;
  readonly store: Store;
  readonly log: Logger;
  readonly bus: EventBus<VmEvents>;
  /** Port forwards of the VM with this id, as its view shows them. */
  readonly forwardsOf: (id: string) => readonly string[];
  /** The store was rebuilt, and the tasks that were under way are not known: what they left incomplete is shown as broken. */
  readonly rebuilt: boolean;
}

export class VmRegistry {
  readonly #options: RegistryOptions;
  readonly #byId = new Map<string, Vm>();
  readonly #byName = new Map<string, Vm>();
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
    const { store, log, rebuilt } = options;
    const vms = new VmRegistry(options);
    const names = new Map((await store.list(nameKey(''))).map(({ key, value }) => [value, key.slice(nameKey('').length)] as const));
    for (const { key, value, revision } of await store.list(vmKey(''))) {
      const parsed = VmRecord.safeParse(value);
      if (parsed.success) {
        const vm = vms.#add(parsed.data, revision);
        if (rebuilt && !vm.record.complete && vm.record.warmPool === null) await vms.#showBroken(vm);
        continue;
      }
      const id = key.slice(vmKey('').length);
      const why = problemOf(value, parsed.error);
      const record = salvage(id, names.get(id) ?? `unknown-${id}`, value, why, Date.now());
      vms.#add(record, revision, { why, text: JSON.stringify(value) });
      log.error({ key, problem: parsed.error.message }, 'the record of a VM cannot be read; the VM is shown as broken');
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

  /** VMs whose record cannot be read: they keep everything they have. */
  unreadable(): Vm[] {
    return this.all().filter((vm) => vm.unreadable !== null);
  }

  /** The VM with this id. @throws not_found when it has been removed meanwhile */
  get(id: string): Vm {
    const vm = this.#byId.get(id);
    if (!vm) throw new VivError('not_found', 'the VM has been removed in the meantime');
    return vm;
  }

  /**
   * By name, id or unique prefix of an id.
   * @throws not_found, ambiguous, corrupt where its record cannot be read
   */
  find(ref: string): Vm {
    const vm = this.findAny(ref);
    if (vm.unreadable !== null) throw unreadable(vm.name, vm.unreadable.why);
    return vm;
  }

  /**
   * As find(), also where the VM's record cannot be read.
   * @param among which VMs there are for the caller; default: all
   * @throws not_found, ambiguous
   */
  findAny(ref: string, among: (vm: Vm) => boolean = () => true): Vm {
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
    return this.unreadable().flatMap(({ id, unreadable }) => (unreadable?.text.includes(text) ? [id] : []));
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

  /** Nobody knows whether it was being created or removed. */
  #showBroken(vm: Vm): Promise<void> {
    const message = 'it was being created or removed when the store was lost. Remove it, or start it if it is whole';
    const stateReason = { code: 'record_unreadable', message, occurredAt: Date.now() } as const;
    return vm.update(() => ({ complete: true, state: 'broken', desired: 'stopped', stateReason }));
  }

  #add(record: VmRecord, revision: number, unreadable: Vm['unreadable'] = null): Vm {
    const { paths, store, bus, forwardsOf } = this.#options;
    const vm = new Vm({ record, revision, paths: paths.vm(record.id), store, bus, unreadable, forwards: () => forwardsOf(record.id) });
    this.#sorted = null;
    this.#byId.set(record.id, vm);
    this.#byName.set(record.name, vm);
    return vm;
  }
}

export function nameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the name ${name} is taken; choose another one or remove that VM first`, { cause });
}

function unreadable(name: string, why: string): VivError {
  return new VivError('corrupt', `nothing can be done with ${name}: ${why}. To remove it: viv rm --force ${name}`);
}
