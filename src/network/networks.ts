// The host's virtual networks: their records, the addresses of NICs, the rules on traffic, port forwards and the flow log.
//
// This room needs no VM: vm/ gives it a list of NICs (PortSource in model.ts), operations change records here, and everything else follows from both:
//
//   records + NICs --(record/desired-state.ts)--> Desired --(kernel/reconciler.ts)--> kernel, nftables, dnsmasq, relays
//
// What exists while a VM uses a network, as root (as an ordinary user pasta takes the place of the pair and of the host's table):
//
//     host                            │ network namespace of this state directory (kernel/namespace.ts)
//                                     │
//     table viv_… (NAT, host access)  │   tables bridge and inet vivarium (firewall/)
//     routes, ip_forward, /etc/hosts  │
//              viv… ────── veth ──────┼── uplink ── routing ── br-default ─┬─ t<vm>0 ── QEMU (holds the tap's descriptor only)
//     relays (forward/) ──────────────┼──────────────────▲        │        ├─ t<vm>1
//                                     │                           │        └─ …
//     eth1 ── vb… ── vj… ─── veth ────┼── j-… ── br-lan (bridged) dnsmasq: DHCP, RA, DNS (dns/)
//                                     │
//                                     │   net-tap flows: log of new connections (flow/)

import type { Logger } from 'pino';
import type { EventBus } from '../host/event-bus.ts';
import type { Paths } from '../host/paths.ts';
import type { Store } from '../store/store.ts';
import { NicAllocations } from './address/allocations.ts';
import { hostNamesFile } from './address/host-names.ts';
import { Attachments } from './attachments.ts';
import { hasVhost } from './capability.ts';
import { NetworkChoice } from './choice.ts';
import { networkFacts } from './facts.ts';
import { FlowLog } from './flow/log.ts';
import { PortForwards } from './forward/forwards.ts';
import type { ProblemChange } from './kernel/problem.ts';
import { NetworkReconciler } from './kernel/reconciler.ts';
import {
  type Desired,
  hasVirtual,
  isVirtual,
  type NetworkEvents,
  type Nic,
  type PortSource,
  type VmPorts,
  type VmProcess,
} from './model.ts';
import { problemReport } from './problem-report.ts';
import { desiredState } from './record/desired-state.ts';
import { NetworkRecords } from './record/network.ts';
import { ForwardRecords } from './record/port-forward.ts';
import { GroupRecords } from './record/security-group.ts';

/** How often DHCP, DNS, the uplink and the taps are checked. */
const checkEveryMs = 5000;

export interface NetworkHost {
  readonly paths: Pick<Paths, 'stateDirectory' | 'network' | 'flowLog'>;
  readonly env: NodeJS.ProcessEnv;
  readonly store: Store;
  readonly log: Logger;
  readonly bus: EventBus<NetworkEvents>;
  /** The daemon is root. */
  readonly asRoot: boolean;
}

/** What a process needs to be started with its taps. */
export interface TapLauncher {
  /** The words before a program's own that run it in the networks' namespace. */
  readonly enter: readonly string[];
  /** vivarium-net-tap. */
  readonly program: string;
  readonly vhost: boolean;
}

interface Records {
  readonly networks: NetworkRecords;
  readonly groups: GroupRecords;
  readonly forwards: ForwardRecords;
}

export class Networks {
  readonly records: NetworkRecords;
  readonly groups: GroupRecords;
  readonly reconciler: NetworkReconciler;
  readonly flows: FlowLog;
  readonly forwards: PortForwards;
  readonly nics: NicAllocations;
  readonly choice: NetworkChoice;
  readonly #host: NetworkHost;
  readonly #source: PortSource;
  readonly #attachments = new Attachments(() => void this.tryReconcile());
  /** VMs whose taps an earlier daemon left, and that no start of this daemon has asked for. */
  readonly #inherited = new Set<string>();
  #begun: Promise<void> = Promise.resolve();
  #monitor: NodeJS.Timeout | undefined;
  /** The last check's failure as text. */
  #lastFailure = '';

  private constructor(host: NetworkHost, source: PortSource, records: Records) {
    const { paths, env, log } = host;
    this.#host = host;
    this.#source = source;
    this.records = records.networks;
    this.groups = records.groups;
    this.nics = new NicAllocations(source, records.networks);
    this.reconciler = new NetworkReconciler({
      stateDirectory: paths.stateDirectory,
      folder: paths.network,
      env,
      log: (error, message) => log.warn({ error }, message),
      desired: () => this.desired(),
      onProblem: (change) => this.#onProblem(change),
      hostNames: hostNamesFile(env, host.asRoot),
    });
    this.flows = new FlowLog({ file: paths.flowLog, log, source, networks: records.networks, reconciler: this.reconciler });
    this.forwards = new PortForwards({
      records: records.forwards,
      source,
      networks: records.networks,
      reconciler: this.reconciler,
      changed: (vm) => void host.bus.emit('forwards.changed', { vm }),
    });
    this.choice = new NetworkChoice({ records: records.networks, groups: records.groups, reconciler: this.reconciler, paths, env });
  }

  /** Reads the records; the kernel is left alone until begin() or the first change. */
  static async open(host: NetworkHost, source: PortSource): Promise<Networks> {
    const { store, log } = host;
    const [networks, groups, forwards] = await Promise.all([
      NetworkRecords.open(store, log),
      GroupRecords.open(store, log),
      ForwardRecords.open(store, log),
    ]);
    return new Networks(host, source, { networks, groups, forwards });
  }

  /** For `viv host`. */
  async facts(): Promise<{ name: string; detail: string }[]> {
    return networkFacts(await this.reconciler.capability(), this.records.all(), this.reconciler.namesProblem);
  }

  /** The VM is in the store, or will not be. Repeatable. */
  registered(id: string): void {
    this.nics.release(id);
    this.#attachments.registered(id);
  }

  /** Starts to create the taps of a VM that will be registered and started soon. What fails is thrown by the VM's own start. */
  expect(vm: VmPorts): void {
    if (!hasVirtual(vm)) return;
    try {
      this.#attachments.expect(this.nics.reserve(vm));
    } catch {
      return; // thrown again when the VM is registered
    }
    void this.reconciler.apply().catch(() => {});
  }

  /** An expected VM will not be created. Repeatable. */
  abandon(id: string): void {
    this.registered(id);
    this.detached(id);
  }

  /** What the kernel should have. */
  desired(): Desired {
    return desiredState(
      { networks: this.records.all(), groups: this.groups.all(), vms: [...this.#source.ports(), ...this.#attachments.upcoming()] },
      this.#attachments,
      (vm) => this.forwards.desired(vm),
      this.#host.paths.stateDirectory,
    );
  }

  /** @throws in_use, unsupported where one of these NICs' networks is known not to work */
  checkProblems(nics: readonly { readonly network: string }[]): void {
    for (const { network } of nics) {
      const problem = this.reconciler.problemOf(network);
      if (problem !== undefined) throw problem;
    }
  }

  /**
   * Before a process of the VM is started, or gets a NIC: the taps exist.
   * @param nics those that have to work
   * @returns null: the VM has no NIC in a virtual network
   * @throws missing_program, unsupported, in_use
   */
  async prepareTaps(
    vm: { readonly id: string; readonly nics: readonly Nic[] },
    nics: readonly Nic[] = vm.nics,
  ): Promise<TapLauncher | null> {
    if (!hasVirtual(vm)) return null;
    const { programs } = await this.reconciler.able();
    for (const nic of vm.nics) if (isVirtual(nic)) this.records.get(nic.network);
    const isInherited = this.#inherited.delete(vm.id);
    const isFirst = this.#attachments.starting(vm.id) || isInherited;
    try {
      await this.reconciler.apply();
      this.checkProblems(nics);
      void this.flows.listen();
      return { enter: await this.reconciler.inside(), program: programs.tap, vhost: await hasVhost() };
    } catch (error) {
      if (isFirst) this.#attachments.release(vm.id, null);
      throw error;
    }
  }

  /** The process has the VM's taps until it ends. */
  attached(id: string, process: VmProcess): void {
    this.#attachments.started(id, process);
  }

  /** @param pid the process that has ended; null: none was started */
  released(id: string, pid: number | null): void {
    this.#attachments.release(id, pid);
  }

  /** No process has the VM's taps any more. Repeatable. */
  detached(id: string): void {
    this.#attachments.ended(id);
  }

  /** Resolves when the kernel and the programs have what is desired now. @throws where they cannot */
  async reconcile(): Promise<void> {
    const isUsed = !this.#attachments.isEmpty || (await this.reconciler.exists().catch(() => false));
    await this.reconciler.apply();
    if (isUsed) void this.flows.listen();
  }

  /** As reconcile(), after a change that is final. Never throws: a failure is logged, and the monitor tries again. */
  async tryReconcile(): Promise<void> {
    await this.reconcile().catch((error: unknown) => this.#host.log.error({ error }, 'the networks could not be reconciled'));
  }

  /** When VMs have been adopted: reconciles what an earlier daemon left, and starts the monitor. */
  begin(): Promise<void> {
    this.#begun = this.#begin();
    return this.#begun;
  }

  async #begin(): Promise<void> {
    for (const vm of this.#source.ports()) {
      if (!hasVirtual(vm)) continue;
      if (vm.process) this.attached(vm.id, vm.process);
      else if (vm.mayRun) this.#inherit(vm.id);
    }
    // Of a process that the daemon does not know yet: an unfinished task has started it.
    for (const { vmId } of await this.reconciler.tapsInUse().catch(() => [])) if (this.#source.byId(vmId)) this.#inherit(vmId);
    this.reconciler.invalidate();
    // The flow recorder names interfaces by those that exist when it starts, and some may be removed now.
    if (await this.reconciler.exists().catch(() => false)) await this.flows.listen();
    await this.tryReconcile();
    this.#monitor = setInterval(() => void this.#check(), checkEveryMs).unref();
  }

  /** Every unfinished task has been resumed or undone: taps that no process has are removed. */
  async recovered(): Promise<void> {
    await this.#begun;
    const used = new Set((await this.reconciler.tapsInUse().catch(() => [])).map(({ vmId }) => vmId));
    for (const { id, process, mayRun } of this.#source.ports())
      if (this.#inherited.has(id) && process === null && !mayRun && !used.has(id)) this.#attachments.release(id, null);
    this.#inherited.clear();
  }

  #inherit(id: string): void {
    if (this.#attachments.starting(id)) this.#inherited.add(id);
  }

  /** The daemon stops. The networks stay while a VM uses them, and are removed otherwise. */
  async stop(): Promise<void> {
    clearInterval(this.#monitor);
    await this.flows.stop();
    const isUsed = !this.#attachments.isEmpty || (await this.reconciler.tapsInUse().catch(() => [])).length > 0;
    if (!isUsed)
      await this.reconciler.end().catch((error: unknown) => this.#host.log.error({ error }, 'the networks could not be removed'));
    this.reconciler.stop();
  }

  async #check(): Promise<void> {
    if (this.#attachments.isEmpty) return;
    const failure = await this.reconciler.check().then(
      () => null,
      (error: unknown) => error,
    );
    const text = failure === null ? '' : String(failure);
    // Logged once, not with every check.
    if (failure !== null && text !== this.#lastFailure) this.#host.log.error({ error: failure }, 'the networks could not be reconciled');
    this.#lastFailure = text;
  }

  #onProblem(change: ProblemChange): void {
    const report = problemReport(change, {
      vm: (id) => this.#source.byId(id),
      vmOfForward: (name) => this.forwards.records.byName(name)?.vm,
      interfaceOf: (name) => this.records.byName(name)?.interface,
    });
    if (report) void this.#host.bus.emit('report', report);
  }
}
