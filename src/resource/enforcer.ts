// Puts the CPU, disk and process limits of every running VM into force, and takes all of it away with the VM. Memory is balloon.ts's, disk
// limits are QEMU's (disk/throttle.ts); both go over QMP.
//
//   place     its process starts: into groups of its own, before the guest has memory
//   enforce   its vCPU threads are known, or settings have changed
//   remove    its process has ended
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import type { Logger } from 'pino';
import { pinsOf } from '../contract/cpu-pin.ts';
import { parseCpuSet } from '../contract/cpu-set.ts';
import { effective, ResourceSettings } from '../contract/resource.ts';
import type { Clock } from '../host/clock.ts';
import { onlineCpus, setThreadAffinity } from '../host/process/affinity.ts';
import { threadTime } from '../host/process/thread-time.ts';
import { Cgroups } from './cgroup/cgroups.ts';
import { findHierarchies } from './cgroup/hierarchy.ts';
import { layoutFor } from './cgroup/layout.ts';
import { Credits } from './cpu/credits.ts';
import { entitlements, groupWeights, niceOf } from './cpu/entitlement.ts';
import { quotaOf } from './cpu/quota.ts';
import { Ksm } from './memory/ksm.ts';

export interface EnforcedVm {
  readonly id: string;
  readonly pid: number;
  /** Thread ids, by number of the vCPU. */
  readonly vcpuThreads: readonly number[];
  readonly settings: ResourceSettings;
  readonly memoryBytes: number;
}

export interface CpuUse {
  /** CPUs that it may use now; null: no limit. */
  readonly limitNow: number | null;
  readonly creditMs: number | null;
  readonly notEnforced: readonly string[];
}

interface Entry {
  vm: EnforcedVm;
  /** A limit above its own, lent by the governor. */
  lent: number | null;
  /** It is pinned, or was: unpinned threads of others are left where they are. */
  pinned: boolean;
  notEnforced: string[];
}

/** QEMU has up to 64 workers per disk, and some threads for itself. */
const ownThreads = 512;
const saveEveryMs = 30_000;
const defaults = ResourceSettings.parse({});
const noGroups = 'this user may create no control groups on this host';

export interface EnforcerOptions {
  /** Its digest is in the groups' names, so that several host instances run on one computer. */
  readonly stateDirectory: string;
  readonly isRoot: boolean;
  /** Keeps the balances of credits over a restart of the daemon. */
  readonly creditFile: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Enforcer {
  readonly hostCpus: readonly number[];
  readonly #cgroups: Cgroups | null;
  readonly #options: EnforcerOptions;
  readonly #credits: Credits;
  readonly #ksm = new Ksm();
  readonly #entries = new Map<string, Entry>();
  /** The process that is in a VM's groups. */
  readonly #placed = new Map<string, number>();
  readonly #savedBalances: Map<string, number>;
  /** What is done for one VM is done in order. */
  readonly #queues = new Map<string, Promise<unknown>>();
  #cancelSaving: () => void = () => {};

  private constructor(options: EnforcerOptions, hostCpus: readonly number[], cgroups: Cgroups | null, balances: Map<string, number>) {
    this.hostCpus = hostCpus;
    this.#cgroups = cgroups;
    this.#options = options;
    this.#savedBalances = balances;
    this.#credits = new Credits({
      clock: options.clock,
      usedMs: (vm) => this.cpuTimeMs(vm),
      onChange: (vm) => void this.#inTurn(vm, () => this.#apply(vm)),
    });
    this.#saveLater();
  }

  static async open(options: EnforcerOptions): Promise<Enforcer> {
    const hostCpus = parseCpuSet((await onlineCpus()) ?? '0');
    const layout = layoutFor(await findHierarchies(options.isRoot), tagOf(options.stateDirectory), hostCpus.length);
    const text = await readFile(options.creditFile, 'utf8').catch(() => '{}');
    return new Enforcer(options, hostCpus, layout === null ? null : new Cgroups(layout), parseBalances(text));
  }

  /** Moves a process that has just started into groups of its own. Never throws: what fails is listed by `use` and logged. */
  place(vm: string, pid: number): Promise<void> {
    this.#placed.set(vm, pid);
    return this.#inTurn(vm, async () => this.#cgroups?.place(vm, pid));
  }

  /** Repeatable. Never throws, as `place`. */
  async enforce(vm: EnforcedVm): Promise<void> {
    const entry = this.#entries.get(vm.id) ?? { vm, lent: null, pinned: false, notEnforced: [] };
    entry.vm = vm;
    this.#entries.set(vm.id, entry);
    const { limit, burstMs, vcpus } = termsOf(vm);
    if (limit === null || burstMs === 0) this.#credits.close(vm.id);
    else this.#credits.open(vm.id, { limit, burstMs, vcpus }, this.#savedBalances.get(vm.id) ?? null);
    this.#savedBalances.delete(vm.id);
    await this.#inTurn(vm.id, async () => {
      await this.#cgroups?.placeVcpus(vm.id, vm.vcpuThreads);
      await this.#apply(vm.id);
    });
    this.#reweigh(vm.id);
  }

  /** @param limit in CPUs; null: its own */
  lend(vm: string, limit: number | null): Promise<void> {
    const entry = this.#entries.get(vm);
    if (!entry) return Promise.resolve();
    entry.lent = limit;
    return this.#inTurn(vm, () => this.#apply(vm));
  }

  /** What was asked for a VM before has been done. */
  async settled(vm: string): Promise<void> {
    await this.#queues.get(vm);
  }

  use(vm: string): CpuUse | null {
    const entry = this.#entries.get(vm);
    if (!entry) return null;
    const credit = this.#credits.of(vm);
    return {
      limitNow: this.#limitNow(entry),
      creditMs: credit === null ? null : Math.round(credit.balanceMs),
      notEnforced: entry.notEnforced,
    };
  }

  /** CPUs that it gets when all VMs are busy; null: it does not run. */
  entitlement(vm: string): number | null {
    return entitlements(this.#claims(), this.hostCpus.length).get(vm) ?? null;
  }

  /** CPU time of its vCPUs since their start; null: not known. */
  cpuTimeMs(vm: string): number | null {
    const entry = this.#entries.get(vm);
    if (!entry) return null;
    let sum = 0;
    for (const thread of entry.vm.vcpuThreads) {
      const time = threadTime(entry.vm.pid, thread);
      if (time === null) return null;
      sum += time.runMs;
    }
    return sum;
  }

  /** How often its limit has stopped it; null: not known. */
  async throttling(vm: string): Promise<{ periods: number; throttledPeriods: number } | null> {
    return (await this.#cgroups?.throttling(vm)) ?? null;
  }

  /** Its process has ended. Repeatable; nothing happens where another process has taken its place. */
  async remove(vm: string, pid: number): Promise<void> {
    if ((this.#placed.get(vm) ?? pid) !== pid) return;
    this.#placed.delete(vm);
    this.#credits.close(vm);
    this.#entries.delete(vm);
    await this.#inTurn(vm, async () => {
      // Limits that were being applied may have asked for page merging.
      await this.#ksm.release(vm);
      if ((await this.#cgroups?.remove(vm)) === false) this.#options.log.warn({ vm }, 'control groups of a VM are not empty and stay');
    });
    this.#queues.delete(vm);
    if (this.#placed.size === 0) await this.#cgroups?.removeTops();
    this.#reweigh(vm);
  }

  /** Removes the groups that belong to no VM. @returns how many VMs' */
  async sweep(isKnown: (vm: string) => boolean): Promise<number> {
    const stray = ((await this.#cgroups?.list()) ?? []).filter((vm) => !isKnown(vm));
    for (const vm of stray) await this.#cgroups?.remove(vm);
    return stray.length;
  }

  /** The daemon ends and VMs keep running: with their own limits, nothing lifted or lent. */
  async stop(): Promise<void> {
    this.#cancelSaving();
    const balances = this.#credits.balances();
    this.#credits.closeAll();
    for (const [id, entry] of this.#entries) {
      entry.lent = null;
      if (termsOf(entry.vm).limit !== null) await this.#inTurn(id, () => this.#apply(id));
    }
    if (this.#entries.size === 0) await this.#cgroups?.removeTops();
    await this.#save(balances);
  }

  #limitNow({ vm, lent }: Entry): number | null {
    const { limit } = termsOf(vm);
    if (limit === null || this.#credits.of(vm.id)?.lifted) return null;
    return Math.max(limit, lent ?? 0);
  }

  #claims() {
    return [...this.#entries.values()].map(({ vm }) => {
      const { limit, vcpus } = termsOf(vm);
      return { id: vm.id, weight: vm.settings.cpuWeight, reservation: vm.settings.cpuReservation, most: Math.min(limit ?? vcpus, vcpus) };
    });
  }

  /** Reservations make the weights of all depend on who runs. */
  #reweigh(except: string): void {
    if (!this.#claims().some(({ reservation }) => reservation > 0)) return;
    for (const id of this.#entries.keys()) if (id !== except) void this.#inTurn(id, () => this.#apply(id));
  }

  async #apply(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    const { settings, vcpuThreads, pid } = entry.vm;
    const pins = pinsOf(settings.vcpuPins, vcpuThreads.length);
    const emulator = settings.emulatorPin === 'none' ? null : parseCpuSet(settings.emulatorPin);
    entry.pinned ||= emulator !== null || pins.some((cpus) => cpus !== null);
    const failed = this.#cgroups
      ? await this.#cgroups.apply(id, {
          cpuWeight: groupWeights(this.#claims(), this.hostCpus.length).get(id) ?? settings.cpuWeight,
          quota: quotaOf(this.#limitNow(entry)),
          vcpuCpus: entry.pinned ? pins.flatMap((cpus) => cpus ?? this.hostCpus) : null,
          emulatorCpus: entry.pinned ? (emulator ?? this.hostCpus) : null,
          ioWeight: settings.ioWeight,
          pids: ownThreads + vcpuThreads.length,
        })
      : this.#applyWithout(entry);
    if (settings.ksm) {
      const problem = await this.#ksm.want(id);
      if (problem !== null) failed.push(`ksm: ${problem}`);
    }
    if (entry.pinned) {
      vcpuThreads.forEach((thread, vcpu) => {
        if (!setThreadAffinity(thread, pins[vcpu] ?? this.hostCpus)) failed.push(`vcpuPins: the kernel refused it for vCPU ${vcpu}`);
      });
      const others = (await readdir(`/proc/${pid}/task`).catch(() => [])).map(Number).filter((thread) => !vcpuThreads.includes(thread));
      for (const thread of others) setThreadAffinity(thread, emulator ?? this.hostCpus); // one that has ended needs none
    }
    entry.notEnforced = failed.filter((line) => isAsked(line.slice(0, line.indexOf(':')), settings));
  }

  /** Without groups: nice values, which only make a VM yield to others. */
  #applyWithout({ vm: { settings, vcpuThreads } }: Entry): string[] {
    const failed = ['cpuReservation', 'cpuLimit', 'cpuBurstMs', 'ioWeight', 'pids limit', 'memory accounting'].map(
      (name) => `${name}: ${noGroups}`,
    );
    try {
      for (const thread of vcpuThreads) setPriority(thread, niceOf(settings.cpuWeight));
      if (settings.cpuWeight > 100) failed.push(`cpuWeight: ${noGroups}, and its threads can only be given less than others`);
    } catch {
      failed.push(`cpuWeight: ${noGroups}, and the kernel refused another nice value`);
    }
    return failed;
  }

  #inTurn(vm: string, act: () => Promise<unknown>): Promise<void> {
    const before = this.#queues.get(vm) ?? Promise.resolve();
    const after = before.then(act).then(
      () => {},
      (error: unknown) => this.#options.log.warn({ vm, error }, 'the limits of a VM could not be put into force'),
    );
    this.#queues.set(vm, after);
    return after;
  }

  #saveLater(): void {
    this.#cancelSaving = this.#options.clock.after(saveEveryMs, () => {
      void this.#save(this.#credits.balances()).finally(() => this.#saveLater());
    });
  }

  async #save(balances: Record<string, number>): Promise<void> {
    if (Object.keys(balances).length === 0) return;
    await writeFile(this.#options.creditFile, JSON.stringify(balances)).catch((error: unknown) =>
      this.#options.log.warn({ error }, 'the balances of CPU credits could not be saved'),
    );
  }
}

const tagOf = (stateDirectory: string): string => `vivarium-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}`;

function termsOf({ settings, vcpuThreads, memoryBytes }: EnforcedVm): { limit: number | null; burstMs: number; vcpus: number } {
  const { cpuLimit } = effective(settings, { cpus: vcpuThreads.length, memoryBytes });
  return { limit: cpuLimit, burstMs: settings.cpuBurstMs, vcpus: vcpuThreads.length };
}

/** What was left at its default is not missed; what every VM should have is. */
function isAsked(setting: string, settings: ResourceSettings): boolean {
  if (!(setting in defaults)) return true;
  const name = setting as keyof ResourceSettings;
  return JSON.stringify(settings[name]) !== JSON.stringify(defaults[name]);
}

function parseBalances(text: string): Map<string, number> {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    return new Map(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
  } catch {
    return new Map(); // written half when the host went down: balances start anew
  }
}
