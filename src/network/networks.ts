// The host's networks as VMs see them: which there are, and who is plugged in now. Whose address is which is in network-NICs.ts; what the
// kernel has of them is brought about by network/kernel/reconciler.ts from wanted().
import type { Logger } from 'pino';
import { isSubnet } from '../contract/egress.ts';
import { VivError } from '../contract/errors.ts';
import { type NicGuard, type NicWish, parseNicWish } from '../contract/nic-spec.ts';
import type { EventBus, ReportEvents } from '../host/event-bus.ts';
import type { Paths } from '../host/paths.ts';
import type { Store } from '../store/store.ts';
import type { SnapshotRecords } from '../vm/capture/snapshot-record.ts';
import { hasVirtual, isVirtual } from '../vm/device/nics.ts';
import type { VmRecord } from '../vm/record.ts';
import type { VmRegistry } from '../vm/registry.ts';
import type { Vm } from '../vm/vm.ts';
import { formatSubnet, type Subnet, subnetOf } from './address/address.ts';
import { NicAllocations } from './address/allocations.ts';
import { hostNamesFile } from './address/host-names.ts';
import { freeIpv4, freeIpv6 } from './address/subnet.ts';
import { hasVhost } from './capability.ts';
import { FlowLog } from './flow/log.ts';
import { VmForwards } from './forward/forwards.ts';
import { hostRoutes } from './kernel/host-network.ts';
import { uplinkOutside } from './kernel/interface-names.ts';
import { NetworksHere } from './kernel/reconciler.ts';
import type { Desired, ForwardSpec, PortSpec } from './model.ts';
import { portOf, specOf } from './record/desired-state.ts';
import { NetworkRecord, NetworkRecords } from './record/network.ts';
import { ForwardRecords } from './record/port-forward.ts';
import { GroupRecords, securityGroup } from './record/security-group.ts';

export const defaultNetwork = 'default';

/** So often it is seen to that DHCP, DNS and the way out are there. */
const lookAfterMs = 5000;

/** What a process needs to be started where its taps are. */
export interface Plugged {
  /** What goes before its program's words so that it runs there. */
  readonly enter: readonly string[];
  /** Hands the taps on. */
  readonly program: string;
  readonly vhost: boolean;
}

/** What the networks need of the host. */
export interface NetworkHost {
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  readonly store: Store;
  readonly log: Logger;
  readonly bus: EventBus<ReportEvents>;
  /** True when the daemon is root. */
  readonly ownUsers: boolean;
}

export class Networks {
  readonly records: NetworkRecords;
  readonly groups: GroupRecords;
  readonly here: NetworksHere;
  readonly flows: FlowLog;
  readonly forwards: VmForwards;
  readonly nics: NicAllocations;
  readonly #vms: VmRegistry;
  readonly #host: NetworkHost;
  /** VMs whose taps are needed, and the process that has them; null: it is being started. */
  readonly #plugged = new Map<string, number | null>();
  /** VMs that will be entered soon, whose taps are made meanwhile, by id. */
  readonly #coming = new Map<string, VmRecord>();
  #making: Promise<void> = Promise.resolve();
  #watch: NodeJS.Timeout | undefined;
  /** What was the matter when it was looked after last. */
  #said = '';

  private constructor(
    host: NetworkHost,
    vms: VmRegistry,
    snapshots: Pick<SnapshotRecords, 'all'>,
    records: NetworkRecords,
    groups: GroupRecords,
    forwards: ForwardRecords,
  ) {
    const { paths, env, log } = host;
    this.records = records;
    this.groups = groups;
    this.#vms = vms;
    this.#host = host;
    this.nics = new NicAllocations(vms, snapshots, records);
    this.here = new NetworksHere({
      stateDirectory: paths.stateDirectory,
      folder: paths.network,
      env,
      log: (error, message) => log.warn({ error }, message),
      desired: () => this.desired(),
      guests: () => [...this.#plugged.values()].filter((pid) => pid !== null),
      forwardChanged: (name, problem) => this.#forwardChanged(name, problem),
      networkChanged: (name, problem) => this.#networkChanged(name, problem),
      hostNames: hostNamesFile(env, host.ownUsers),
    });
    this.flows = new FlowLog(host, vms, records, this.here);
    this.forwards = new VmForwards(forwards, vms, records, this.here);
  }

  static async open(host: NetworkHost, vms: VmRegistry, snapshots: Pick<SnapshotRecords, 'all'>): Promise<Networks> {
    const { store, log } = host;
    const [records, groups, forwards] = await Promise.all([
      NetworkRecords.open(store, log),
      GroupRecords.open(store, log),
      ForwardRecords.open(store, log),
    ]);
    return new Networks(host, vms, snapshots, records, groups, forwards);
  }

  /** The networks that a VM gets which asks for these, or for none in particular; the default one is made where it is not there. */
  async chosen(texts: readonly string[] | undefined): Promise<string[]> {
    const desired = texts ?? [this.#host.env['VIV_DEFAULT_NETWORK'] || ((await this.here.capability()).ok ? defaultNetwork : 'user')];
    const wishes = desired.map(parseNicWish);
    const names = wishes.map(({ network }) => network).filter((name) => name !== 'user' && name !== 'none');
    if (names.length > 0) await this.here.able();
    for (const name of names) if (name === defaultNetwork) await this.#makeDefault();
    for (const name of names) this.records.get(name);
    for (const wish of wishes) {
      await this.#checkVlans(wish);
      await this.checkGuard(wish.guard);
    }
    return [...desired];
  }

  /** @throws not_found, unsupported */
  async checkGuard({ securityGroups, egress }: Pick<NicGuard, 'securityGroups' | 'egress'>): Promise<void> {
    for (const group of securityGroups) this.groups.get(group);
    if (egress?.some((item) => !isSubnet(item))) await this.here.checkNames();
  }

  async #checkVlans({ network, vlan, trunk }: Pick<NicWish, 'network' | 'vlan' | 'trunk'>): Promise<void> {
    if ((vlan === null && trunk.length === 0) || (await this.here.able()).vlans) return;
    throw new VivError(
      'unsupported',
      `a NIC in ${network} cannot be in a VLAN on this host, because its kernel has no bridges that tell VLANs apart (CONFIG_BRIDGE_VLAN_FILTERING)`,
    );
  }

  /** Subnets that are in use, by our networks and by the host's routes, each with whose it is. */
  async taken(): Promise<{ subnet: Subnet; what: string }[]> {
    const ours = this.records
      .all()
      .flatMap(({ name, ipv4, ipv6 }) =>
        [ipv4, ipv6].flatMap((text) => (text === null ? [] : [{ subnet: subnetOf(text), what: `the subnet of the network ${name}` }])),
      );
    const { programs } = await this.here.able();
    const device = uplinkOutside(this.#host.paths.stateDirectory);
    const routes = (await hostRoutes(programs.ip)).filter((route) => route.device !== device);
    return [
      ...ours,
      ...routes.map(({ subnet, device: through }) => ({
        subnet,
        what: `which this host reaches through ${through ?? 'a route of its own'}`,
      })),
    ];
  }

  /** A free one of each family. */
  async freeSubnets(name: string): Promise<{ ipv4: string; ipv6: string }> {
    const { stateDirectory } = this.#host.paths;
    const taken = (await this.taken()).map(({ subnet }) => subnet);
    const seed = `${stateDirectory}\0${name}`;
    // The one that every VM is in has room for 4,093.
    const prefix = name === defaultNetwork ? 20 : 24;
    return { ipv4: formatSubnet(freeIpv4(seed, prefix, taken)), ipv6: formatSubnet(freeIpv6(stateDirectory, seed, taken)) };
  }

  /** For `viv host`. */
  async facts(): Promise<{ name: string; detail: string }[]> {
    const user = { name: 'user', detail: 'NAT by QEMU itself: the way out for each VM, no way in, no neighbours' };
    const found = await this.here.capability();
    if (!found.ok) return [{ ...user, detail: `${user.detail}. VMs have no other, because ${found.why}` }];
    const way = found.asUser ? 'in a namespace of this user’s, out through pasta' : 'in a namespace of their own, out through the host';
    const lacks = [
      ...found.limits,
      ...(this.here.namesProblem === null ? [] : [this.here.namesProblem]),
      ...(found.vlans ? [] : ['no VLANs, because this kernel’s bridges cannot tell them apart']),
    ];
    const names = this.records.all().map((network) => ({
      name: network.name,
      detail: [network.kind, network.ipv4, network.ipv6].filter((part) => part !== null).join(', '),
    }));
    return [...names, { name: 'own', detail: [`networks ${way}`, ...lacks].join('; ') }, user];
  }

  #makeDefault(): Promise<void> {
    const make = async () => {
      if (this.records.byName(defaultNetwork)) return;
      const subnets = await this.freeSubnets(defaultNetwork);
      await this.records.insert(
        NetworkRecord.parse({ name: defaultNetwork, kind: 'nat', ...subnets, interface: null, createdAt: Date.now() }),
      );
    };
    this.#making = this.#making.then(make, make);
    return this.#making;
  }

  /** It is in the store now, or will not be. */
  entered(id: string): void {
    this.nics.entered(id);
    this.#coming.delete(id);
  }

  /** The taps of a VM that will be entered and started soon are made from now on. Where they cannot be, plug() will say so. */
  expect(record: VmRecord): void {
    if (!hasVirtual(record)) return;
    try {
      this.#coming.set(record.id, this.nics.placed(record));
    } catch {
      return; // told when it is entered
    }
    this.#plugged.set(record.id, this.#plugged.get(record.id) ?? null);
    void this.here.apply().catch(() => {});
  }

  /** It will not come after all. Repeatable. */
  abandon(id: string): void {
    this.entered(id);
    this.ended(id);
  }

  /** What the kernel is meant to have. */
  desired(): Desired {
    const ports: PortSpec[] = [];
    const forwards: ForwardSpec[] = [];
    const needed = new Set<string>();
    for (const record of [...this.#vms.all().map((vm) => vm.record), ...this.#coming.values()]) {
      const plugged = this.#plugged.has(record.id);
      if (plugged) forwards.push(...this.forwards.desired(record));
      for (const nic of record.nics) {
        if (!isVirtual(nic) || !this.records.byName(nic.network)) continue;
        if (plugged) needed.add(nic.network);
        ports.push(portOf(record, nic, plugged));
      }
    }
    const networks = this.records.all().filter(({ name }) => needed.has(name));
    return {
      networks: networks.map((network) => specOf(network, this.#host.paths.stateDirectory)),
      ports,
      groups: this.groups.all().map(securityGroup),
      forwards,
    };
  }

  /** Its VM runs all the same. */
  #forwardChanged(name: string, problem: string | null): void {
    const vm = this.#vms.byId(this.forwards.records.byName(name)?.vm ?? '');
    if (!vm) return;
    const [what, message] =
      problem === null
        ? ['forward_opened', `the forward ${name} to ${vm.name} is open now`]
        : ['forward_failed', `the forward ${name} to ${vm.name} is not open: ${problem}`];
    vm.report(`network.${what}`, message as string);
  }

  /** Its VMs run all the same. */
  #networkChanged(name: string, problem: string | null): void {
    const [what, message] =
      problem === null
        ? ['joined', `the network ${name} is joined to ${this.records.byName(name)?.interface} again`]
        : ['unjoined', `${problem}; until that is mended, VMs in ${name} reach one another only`];
    void this.#host.bus.emit('report', { type: `network.${what}`, name, message: message as string });
  }

  /** @throws in_use, unsupported where a network of these NICs is known not to lead where it should */
  checkProblems(nics: readonly { readonly network: string }[]): void {
    for (const { network } of nics) {
      const problem = this.here.problemOf(network);
      if (problem !== undefined) throw problem;
    }
  }

  /** Before a VM's process gets these NICs: their taps are there. Null: it needs none. @throws missing_program, unsupported, in_use */
  async plug(vm: Vm, nics: readonly { readonly network: string }[] = vm.record.nics): Promise<Plugged | null> {
    if (!hasVirtual(vm.record)) return null;
    const { programs } = await this.here.able();
    for (const nic of vm.record.nics) if (isVirtual(nic)) this.records.get(nic.network);
    const before = this.#plugged.get(vm.id);
    if (before === undefined) this.#plugged.set(vm.id, null);
    try {
      await this.here.apply();
      this.checkProblems(nics);
      void this.flows.listen();
      return { enter: await this.here.inside(), program: programs.tap, vhost: await hasVhost() };
    } catch (error) {
      if (before === undefined) this.unplug(vm.id, null);
      throw error;
    }
  }

  /** A process has them from now on, until it ends. */
  has(id: string, process: { pid: number; exited: Promise<unknown> }): void {
    this.#plugged.set(id, process.pid);
    void process.exited.then(() => this.unplug(id, process.pid));
  }

  /** @param pid of the process that has ended; another one that has taken its place keeps the taps */
  unplug(id: string, pid: number | null): void {
    if (this.#plugged.get(id) !== pid) return;
    this.#plugged.delete(id);
    void this.changed();
  }

  /** Its process has been ended. Repeatable. */
  ended(id: string): void {
    if (this.#plugged.delete(id)) void this.changed();
  }

  /** The kernel and dnsmasq have what is wanted now. @throws where they do not */
  async bring(): Promise<void> {
    const some = this.#plugged.size > 0 || (await this.here.exists().catch(() => false));
    await this.here.apply();
    if (some) void this.flows.listen();
  }

  /** As bring(), for what is done already. Never throws: it is tried again with the next change. */
  async changed(): Promise<void> {
    await this.bring().catch((error: unknown) => this.#host.log.error({ error }, 'the networks could not be brought up to date'));
  }

  /** On the daemon's return, when VMs have been adopted. */
  async begin(): Promise<void> {
    for (const vm of this.#vms.all()) {
      if (vm.live && hasVirtual(vm.record)) this.has(vm.id, vm.live.process);
      // Its process may be there although it does not answer.
      else if (vm.record.state === 'broken' && vm.record.started !== null && hasVirtual(vm.record)) this.#plugged.set(vm.id, null);
    }
    this.here.lookAgain();
    // It is told by the interfaces that were there, of which some may go now.
    if (await this.here.exists().catch(() => false)) await this.flows.listen();
    await this.changed();
    this.#watch = setInterval(() => void this.#lookAfter(), lookAfterMs).unref();
  }

  async #lookAfter(): Promise<void> {
    if (this.#plugged.size === 0) return;
    const problem = await this.here.look().then(
      () => null,
      (error: unknown) => error,
    );
    const said = problem === null ? '' : String(problem);
    // Every few seconds, until it is mended.
    if (said !== this.#said && problem !== null) this.#host.log.error({ error: problem }, 'the networks could not be brought up to date');
    this.#said = said;
  }

  /** The daemon goes. What no VM needs any more is removed. */
  async stop(): Promise<void> {
    clearInterval(this.#watch);
    await this.flows.stop();
    if (this.#plugged.size === 0)
      await this.here.end().catch((error: unknown) => this.#host.log.error({ error }, 'the networks could not be removed'));
    this.here.stop();
  }
}
