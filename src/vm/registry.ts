// All machines of this host, by id and name, as the store has them.
import type { Logger } from 'pino';
import { someOf, VivError } from '../contract/errors.ts';
import type { Clock } from '../host/clock.ts';
import type { Paths } from '../host/paths.ts';
import { Networks } from '../network/networks.ts';
import { FileChecks } from '../snapshot/checksum/file-checks.ts';
import { Points } from '../snapshot/registry.ts';
import type { Store } from '../store/store.ts';
import { Pools } from '../warm-pool/records.ts';
import { hasVirtual } from './device/nics.ts';
import { Processes } from './find-process.ts';
import { MachineRecord, nameKey, vmKey } from './record.ts';
import { cdsInUse } from './spec.ts';
import { Machine, type News } from './vm.ts';

/** What machines need of the host; daemon.ts hands it down. */
export interface MachineHost {
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  readonly store: Store;
  readonly log: Logger;
  readonly clock: Clock;
  /** Boot id of the host's kernel. */
  readonly bootId: string;
  /** True when the daemon is root, so that each machine's QEMU gets a user of its own. */
  readonly ownUsers: boolean;
  readonly tell: (news: News) => void;
  /** Throws no_accelerator. */
  readonly accelerator: (wanted: 'auto' | 'kvm' | 'tcg') => Promise<'kvm' | 'tcg'>;
  /** Called when the host has less memory available than this many bytes: what can be given up is, as far as it helps. */
  readonly makeRoom: (neededBytes: number) => Promise<void>;
  /** A pool was made, has another size, or one was taken from it. */
  readonly poolChanged: (name: string) => void;
  /** A point is complete: its disks' layers have no sums yet. */
  readonly pointMade: () => void;
}

export class Machines {
  readonly host: MachineHost;
  readonly points: Points;
  readonly pools: Pools;
  readonly checks: FileChecks;
  readonly processes: Processes;
  #networks: Networks | null = null;
  readonly #byId = new Map<string, Machine>();
  readonly #byName = new Map<string, Machine>();
  /** Records that this version cannot read, as JSON, by id: their machines keep everything they have. */
  readonly #unreadable = new Map<string, string>();
  /** What list() answers, until something changes. */
  #sorted: readonly Machine[] | null = null;

  constructor(host: MachineHost, points: Points, pools: Pools, checks: FileChecks) {
    this.host = host;
    this.points = points;
    this.pools = pools;
    this.checks = checks;
    this.processes = new Processes(host.paths.home);
  }

  /** Reads every machine from the store; nothing is adopted yet (see adopt.ts). */
  static async open(host: MachineHost): Promise<Machines> {
    const { store, log } = host;
    const machines = new Machines(host, await Points.open(store, log), await Pools.open(store, log), await FileChecks.open(store));
    machines.#networks = await Networks.open(host, machines);
    for (const { key, value, revision } of await host.store.list('vm/')) {
      const parsed = MachineRecord.safeParse(value);
      if (parsed.success) machines.#add(parsed.data, revision);
      else {
        machines.#unreadable.set(key.slice(vmKey('').length), JSON.stringify(value));
        host.log.error({ key, problem: parsed.error.message }, 'a machine’s record cannot be read; it is left alone');
      }
    }
    return machines;
  }

  get networks(): Networks {
    if (!this.#networks) throw new Error('machines are opened with Machines.open');
    return this.#networks;
  }

  /** Machines that have been made completely, by name. */
  list(): readonly Machine[] {
    this.#sorted ??= this.all()
      .filter((machine) => machine.record.complete)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    return this.#sorted;
  }

  /** Those still being made as well. */
  all(): Machine[] {
    return [...this.#byId.values()];
  }

  byId(id: string): Machine | undefined {
    return this.#byId.get(id);
  }

  /** How many records this version cannot read. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** Whether the store has a machine with this id, one whose record cannot be read as well. */
  knows(id: string): boolean {
    return this.#byId.has(id) || this.#unreadable.has(id);
  }

  /** The machine with this id. @throws not_found when it has been removed meanwhile */
  get(id: string): Machine {
    const machine = this.#byId.get(id);
    if (!machine) throw new VivError('not_found', 'the machine has been removed meanwhile');
    return machine;
  }

  /** By name, id or unique prefix of an id. @throws not_found, ambiguous */
  find(ref: string): Machine {
    const exact = this.#byName.get(ref) ?? this.#byId.get(ref);
    if (exact?.record.complete) return exact;
    const matching = ref.length >= 3 ? this.list().filter((machine) => machine.id.startsWith(ref)) : [];
    if (matching.length > 1)
      throw new VivError(
        'ambiguous',
        `${ref} fits ${matching.length} machines: ${someOf(matching.map(({ name }) => name))}; give more of the id`,
      );
    const [only] = matching;
    if (!only) throw new VivError('not_found', `there is no machine named ${ref}; viv ls lists them`);
    return only;
  }

  nameTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  uids(): Set<number> {
    const records = [...this.all(), ...this.points.all().map(({ machine }) => ({ record: machine }))].map(({ record }) => record);
    return new Set(records.flatMap(({ uid, family }) => [uid, family]).filter((id) => id !== null));
  }

  /** MAC addresses of all cards. */
  macs(): Set<string> {
    return new Set(this.all().flatMap(({ record }) => record.nics.map(({ mac }) => mac)));
  }

  /** Names of the machines that use an image (ids of those whose record cannot be read). */
  usersOf(digest: string): string[] {
    const users = this.all()
      .filter(({ record }) => [record.image, ...record.disks, ...cdsInUse(record)].some((used) => used.digest === digest))
      .map((machine) => machine.name);
    for (const { vm, label, id, machine } of this.points.all()) {
      const used = [machine.image, ...machine.disks, ...(machine.started?.cdroms ?? [])].some((one) => one.digest === digest);
      if (used) users.push(`${this.byId(vm)?.name ?? machine.name}@${label ?? id}`);
    }
    return [...users, ...[...this.#unreadable].flatMap(([id, text]) => (text.includes(digest) ? [id] : []))];
  }

  /** Enters a new machine under its name, with addresses of its own. Repeatable. @throws name_taken, in_use, invalid, not_found */
  async insert(unplaced: MachineRecord): Promise<Machine> {
    const present = this.#byId.get(unplaced.id);
    if (present) return present;
    const record = this.networks.cards.placed(unplaced);
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
  async rename(machine: Machine, name: string, change: () => Partial<MachineRecord> = () => ({})): Promise<void> {
    const old = machine.name;
    if (old === name) return;
    try {
      await machine.update(() => ({ ...change(), name }), {
        guards: [{ key: nameKey(name), revision: 0 }],
        puts: [{ key: nameKey(name), value: machine.id }],
        deletes: [nameKey(old)],
      });
    } catch (error) {
      if ((error as Error).name === 'StoreConflict') throw nameTaken(name, error);
      throw error;
    }
    this.#byName.delete(old);
    this.#byName.set(name, machine);
    this.#sorted = null;
    if (hasVirtual(machine.record)) await this.networks.changed();
  }

  /** Forgets a machine. Repeatable. */
  async drop(id: string): Promise<void> {
    const machine = this.#byId.get(id);
    if (!machine) return;
    await this.networks.forwards.drop(this.networks.forwards.of(id));
    await this.host.store.commit({ deletes: [vmKey(id), nameKey(machine.name)] });
    this.#byId.delete(id);
    this.processes.forget(id);
    this.#sorted = null;
    if (this.#byName.get(machine.name) === machine) this.#byName.delete(machine.name);
    machine.changed();
    if (hasVirtual(machine.record)) void this.networks.changed();
  }

  #add(record: MachineRecord, revision: number): Machine {
    const { paths, store } = this.host;
    const tell = (news: News) => {
      if (news.type === 'changed') this.#sorted = null;
      this.host.tell(news);
    };
    this.#sorted = null;
    const machine = new Machine({
      ...{ record, revision, paths: paths.vm(record.id), store, tell },
      forwards: () => this.networks.forwards.textsOf(record.id),
    });
    this.#byId.set(record.id, machine);
    this.#byName.set(record.name, machine);
    return machine;
  }
}

export function nameTaken(name: string, cause?: unknown): VivError {
  return new VivError('name_taken', `the name ${name} is taken; choose another one or remove that machine first`, { cause });
}
