// All VMs of this host, by id and name, as the store has them.
import type { Logger } from 'pino';
import { someOf, VivError } from '../contract/errors.ts';
import type { Clock } from '../host/clock.ts';
import type { Paths } from '../host/paths.ts';
import { Networks } from '../network/networks.ts';
import { FileChecks } from '../snapshot/checksum/file-checks.ts';
import { SnapshotRegistry } from '../snapshot/registry.ts';
import type { Store } from '../store/store.ts';
import { WarmPoolRegistry } from '../warm-pool/records.ts';
import { hasVirtual } from './device/nics.ts';
import { Processes } from './find-process.ts';
import { nameKey, VmRecord, vmKey } from './record.ts';
import { cdsInUse } from './spec.ts';
import { type News, Vm } from './vm.ts';

/** What VMs need of the host; daemon.ts hands it down. */
export interface VmHost {
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  readonly store: Store;
  readonly log: Logger;
  readonly clock: Clock;
  /** Boot id of the host's kernel. */
  readonly bootId: string;
  /** True when the daemon is root, so that each VM's QEMU gets a user of its own. */
  readonly ownUsers: boolean;
  readonly tell: (news: News) => void;
  /** Throws no_accelerator. */
  readonly accelerator: (desired: 'auto' | 'kvm' | 'tcg') => Promise<'kvm' | 'tcg'>;
  /** Called when the host has less memory available than this many bytes: what can be given up is, as far as it helps. */
  readonly makeRoom: (neededBytes: number) => Promise<void>;
  /** A warm pool was made, has another size, or one was taken from it. */
  readonly warmPoolChanged: (name: string) => void;
  /** A snapshot is complete: its disks' layers have no checksums yet. */
  readonly snapshotMade: () => void;
}

export class VmRegistry {
  readonly host: VmHost;
  readonly snapshots: SnapshotRegistry;
  readonly warmPools: WarmPoolRegistry;
  readonly checks: FileChecks;
  readonly processes: Processes;
  #networks: Networks | null = null;
  readonly #byId = new Map<string, Vm>();
  readonly #byName = new Map<string, Vm>();
  /** Records that this version cannot read, as JSON, by id: their VMs keep everything they have. */
  readonly #unreadable = new Map<string, string>();
  /** What list() answers, until something changes. */
  #sorted: readonly Vm[] | null = null;

  constructor(host: VmHost, snapshots: SnapshotRegistry, warmPools: WarmPoolRegistry, checks: FileChecks) {
    this.host = host;
    this.snapshots = snapshots;
    this.warmPools = warmPools;
    this.checks = checks;
    this.processes = new Processes(host.paths.stateDirectory);
  }

  /** Reads every VM from the store; nothing is adopted yet (see adopt.ts). */
  static async open(host: VmHost): Promise<VmRegistry> {
    const { store, log } = host;
    const vms = new VmRegistry(
      host,
      await SnapshotRegistry.open(store, log),
      await WarmPoolRegistry.open(store, log),
      await FileChecks.open(store),
    );
    vms.#networks = await Networks.open(host, vms);
    for (const { key, value, revision } of await host.store.list('vm/')) {
      const parsed = VmRecord.safeParse(value);
      if (parsed.success) vms.#add(parsed.data, revision);
      else {
        vms.#unreadable.set(key.slice(vmKey('').length), JSON.stringify(value));
        host.log.error({ key, problem: parsed.error.message }, 'a VM’s record cannot be read; it is left alone');
      }
    }
    return vms;
  }

  get networks(): Networks {
    if (!this.#networks) throw new Error('VMs are opened with VMs.open');
    return this.#networks;
  }

  /** VMs that have been made completely, by name. */
  list(): readonly Vm[] {
    this.#sorted ??= this.all()
      .filter((vm) => vm.record.complete)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    return this.#sorted;
  }

  /** Those still being made as well. */
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

  /** Whether the store has a VM with this id, one whose record cannot be read as well. */
  knows(id: string): boolean {
    return this.#byId.has(id) || this.#unreadable.has(id);
  }

  /** The VM with this id. @throws not_found when it has been removed meanwhile */
  get(id: string): Vm {
    const vm = this.#byId.get(id);
    if (!vm) throw new VivError('not_found', 'the VM has been removed meanwhile');
    return vm;
  }

  /**
   * By name, id or unique prefix of an id.
   * @param among which VMs there are for whoever asks; default: all
   * @throws not_found, ambiguous
   */
  find(ref: string, among: (vm: Vm) => boolean = () => true): Vm {
    const exact = this.#byName.get(ref) ?? this.#byId.get(ref);
    if (exact?.record.complete && among(exact)) return exact;
    const matching = ref.length >= 3 ? this.list().filter((vm) => vm.id.startsWith(ref) && among(vm)) : [];
    if (matching.length > 1)
      throw new VivError(
        'ambiguous',
        `${ref} fits ${matching.length} VMs: ${someOf(matching.map(({ name }) => name))}; give more of the id`,
      );
    const [only] = matching;
    if (!only) throw new VivError('not_found', `there is no VM named ${ref}; viv ls lists them`);
    return only;
  }

  nameTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  uids(): Set<number> {
    const records = [...this.all(), ...this.snapshots.all().map(({ vmRecord: vm }) => ({ record: vm }))].map(({ record }) => record);
    return new Set(records.flatMap(({ uid, family }) => [uid, family]).filter((id) => id !== null));
  }

  /** MAC addresses of all NICs. */
  macs(): Set<string> {
    return new Set(this.all().flatMap(({ record }) => record.nics.map(({ mac }) => mac)));
  }

  /** Names of the VMs that use an image (ids of those whose record cannot be read). */
  usersOf(digest: string): string[] {
    const users = this.all()
      .filter(({ record }) => [record.image, ...record.disks, ...cdsInUse(record)].some((used) => used.digest === digest))
      .map((vm) => vm.name);
    for (const { vm: vmRef, label, id, vmRecord: vm } of this.snapshots.all()) {
      const used = [vm.image, ...vm.disks, ...(vm.started?.cdroms ?? [])].some((one) => one.digest === digest);
      if (used) users.push(`${this.byId(vmRef)?.name ?? vm.name}@${label ?? id}`);
    }
    return [...users, ...[...this.#unreadable].flatMap(([id, text]) => (text.includes(digest) ? [id] : []))];
  }

  /** Enters a new VM under its name, with addresses of its own. Repeatable. @throws name_taken, in_use, invalid, not_found */
  async insert(unplaced: VmRecord): Promise<Vm> {
    const present = this.#byId.get(unplaced.id);
    if (present) return present;
    const record = this.networks.nics.placed(unplaced);
    try {
      const { revision } = await this.host.store.commit({
        guards: [
          { key: nameKey(record.name), revision: 0 },
          { key: vmKey(record.id), revision: 0 },
        ],
        puts: [
          { key: vmKey(record.id), value: record },
          { key: nameKey(record.name), value: record.id },
        ],
      });
      this.processes.madeHere(record.id);
      return this.#add(record, revision);
    } catch (error) {
      if ((error as Error).name === 'StoreConflict') throw nameTaken(record.name, error);
      throw error;
    } finally {
      this.networks.entered(record.id);
    }
  }

  /** Gives it another name, and makes the other changes at once with it. Repeatable. @throws name_taken, what `change` throws */
  async rename(vm: Vm, name: string, change: () => Partial<VmRecord> = () => ({})): Promise<void> {
    const old = vm.name;
    if (old === name) return;
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
    if (hasVirtual(vm.record)) await this.networks.changed();
  }

  /** Forgets a VM. Repeatable. */
  async drop(id: string): Promise<void> {
    const vm = this.#byId.get(id);
    if (!vm) return;
    await this.networks.forwards.drop(this.networks.forwards.of(id));
    await this.host.store.commit({ deletes: [vmKey(id), nameKey(vm.name)] });
    this.#byId.delete(id);
    this.processes.forget(id);
    this.#sorted = null;
    if (this.#byName.get(vm.name) === vm) this.#byName.delete(vm.name);
    vm.changed();
    if (hasVirtual(vm.record)) void this.networks.changed();
  }

  #add(record: VmRecord, revision: number): Vm {
    const { paths, store } = this.host;
    const tell = (news: News) => {
      if (news.type === 'changed') this.#sorted = null;
      this.host.tell(news);
    };
    this.#sorted = null;
    const vm = new Vm({
      ...{ record, revision, paths: paths.vm(record.id), store, tell },
      forwards: () => this.networks.forwards.textsOf(record.id),
    });
    this.#byId.set(record.id, vm);
    this.#byName.set(record.name, vm);
    return vm;
  }
}

export function nameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the name ${name} is taken; choose another one or remove that VM first`, { cause });
}
