// The host's networks as machines see them: which there are, and who is plugged in now. Whose address is which is in network-cards.ts; what the
// kernel has of them is brought about by network/networks-here.ts from wanted().
import { isSubnet } from '../contract/egress.ts';
import { VivError } from '../contract/errors.ts';
import { type NicGuard, type NicWish, parseNicWish } from '../contract/nic.ts';
import { hasVirtual, isVirtual } from '../vm/device/nics.ts';
import type { MachineRecord } from '../vm/record.ts';
import type { MachineHost, Machines } from '../vm/registry.ts';
import type { Machine } from '../vm/vm.ts';
import { formatSubnet, type Subnet, subnetOf } from './address/address.ts';
import { NetworkCards } from './address/allocations.ts';
import { hostNamesFile } from './address/host-names.ts';
import { freeIpv4, freeIpv6 } from './address/subnet.ts';
import { hasVhost } from './capability.ts';
import { FlowLog } from './flow/log.ts';
import { MachineForwards } from './forward/forwards.ts';
import { hostRoutes } from './kernel/host-network.ts';
import { uplinkOutside } from './kernel/interface-names.ts';
import { NetworksHere } from './kernel/reconciler.ts';
import type { ForwardSpec, PortSpec, Wanted } from './model.ts';
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

export class Networks {
  readonly records: NetworkRecords;
  readonly groups: GroupRecords;
  readonly here: NetworksHere;
  readonly flows: FlowLog;
  readonly forwards: MachineForwards;
  readonly cards: NetworkCards;
  readonly #machines: Machines;
  readonly #host: MachineHost;
  /** Machines whose taps are needed, and the process that has them; null: it is being started. */
  readonly #plugged = new Map<string, number | null>();
  /** Machines that will be entered soon, whose taps are made meanwhile, by id. */
  readonly #coming = new Map<string, MachineRecord>();
  #making: Promise<void> = Promise.resolve();
  #watch: NodeJS.Timeout | undefined;
  /** What was the matter when it was looked after last. */
  #said = '';

  private constructor(host: MachineHost, machines: Machines, records: NetworkRecords, groups: GroupRecords, forwards: ForwardRecords) {
    const { paths, env, log } = host;
    this.records = records;
    this.groups = groups;
    this.#machines = machines;
    this.#host = host;
    this.cards = new NetworkCards(machines, records);
    this.here = new NetworksHere({
      home: paths.home,
      folder: paths.network,
      env,
      log: (error, message) => log.warn({ error }, message),
      wanted: () => this.wanted(),
      guests: () => [...this.#plugged.values()].filter((pid) => pid !== null),
      forwardChanged: (name, problem) => this.#forwardChanged(name, problem),
      networkChanged: (name, problem) => this.#networkChanged(name, problem),
      hostNames: hostNamesFile(env, host.ownUsers),
    });
    this.flows = new FlowLog(host, machines, records, this.here);
    this.forwards = new MachineForwards(forwards, machines, records, this.here);
  }

  static async open(host: MachineHost, machines: Machines): Promise<Networks> {
    const { store, log } = host;
    const [records, groups, forwards] = await Promise.all([
      NetworkRecords.open(store, log),
      GroupRecords.open(store, log),
      ForwardRecords.open(store, log),
    ]);
    return new Networks(host, machines, records, groups, forwards);
  }

  /** The networks that a machine gets which asks for these, or for none in particular; the default one is made where it is not there. */
  async chosen(texts: readonly string[] | undefined): Promise<string[]> {
    const wanted = texts ?? [this.#host.env['VIV_DEFAULT_NETWORK'] || ((await this.here.capability()).ok ? defaultNetwork : 'user')];
    const wishes = wanted.map(parseNicWish);
    const names = wishes.map(({ network }) => network).filter((name) => name !== 'user' && name !== 'none');
    if (names.length > 0) await this.here.able();
    for (const name of names) if (name === defaultNetwork) await this.#makeDefault();
    for (const name of names) this.records.get(name);
    for (const wish of wishes) {
      await this.#checkVlans(wish);
      await this.checkGuard(wish.guard);
    }
    return [...wanted];
  }

  /** @throws not_found, unsupported */
  async checkGuard({ groups, egress }: Pick<NicGuard, 'groups' | 'egress'>): Promise<void> {
    for (const group of groups) this.groups.get(group);
    if (egress?.some((item) => !isSubnet(item))) await this.here.checkNames();
  }

  async #checkVlans({ network, vlan, trunk }: Pick<NicWish, 'network' | 'vlan' | 'trunk'>): Promise<void> {
    if ((vlan === null && trunk.length === 0) || (await this.here.able()).vlans) return;
    throw new VivError(
      'unsupported',
      `a card in ${network} cannot be in a VLAN on this host, because its kernel has no bridges that tell VLANs apart (CONFIG_BRIDGE_VLAN_FILTERING)`,
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
    const device = uplinkOutside(this.#host.paths.home);
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
    const { home } = this.#host.paths;
    const taken = (await this.taken()).map(({ subnet }) => subnet);
    const seed = `${home}\0${name}`;
    // The one that every machine is in has room for 4,093.
    const prefix = name === defaultNetwork ? 20 : 24;
    return { ipv4: formatSubnet(freeIpv4(seed, prefix, taken)), ipv6: formatSubnet(freeIpv6(home, seed, taken)) };
  }

  /** For `viv host`. */
  async facts(): Promise<{ name: string; detail: string }[]> {
    const user = { name: 'user', detail: 'NAT by QEMU itself: the way out for each machine, no way in, no neighbours' };
    const found = await this.here.capability();
    if (!found.ok) return [{ ...user, detail: `${user.detail}. Machines have no other, because ${found.why}` }];
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
    this.cards.entered(id);
    this.#coming.delete(id);
  }

  /** The taps of a machine that will be entered and started soon are made from now on. Where they cannot be, plug() will say so. */
  expect(record: MachineRecord): void {
    if (!hasVirtual(record)) return;
    try {
      this.#coming.set(record.id, this.cards.placed(record));
    } catch {
      return; // told when it is entered
    }
    this.#plugged.set(record.id, this.#plugged.get(record.id) ?? null);
    void this.here.apply().catch(() => {});
  }

  /** It will not come after all. Repeatable. */
  giveUp(id: string): void {
    this.entered(id);
    this.ended(id);
  }

  /** What the kernel is meant to have. */
  wanted(): Wanted {
    const ports: PortSpec[] = [];
    const forwards: ForwardSpec[] = [];
    const needed = new Set<string>();
    for (const record of [...this.#machines.all().map((machine) => machine.record), ...this.#coming.values()]) {
      const plugged = this.#plugged.has(record.id);
      if (plugged) forwards.push(...this.forwards.wanted(record));
      for (const nic of record.nics) {
        if (!isVirtual(nic) || !this.records.byName(nic.network)) continue;
        if (plugged) needed.add(nic.network);
        ports.push(portOf(record, nic, plugged));
      }
    }
    const networks = this.records.all().filter(({ name }) => needed.has(name));
    return {
      networks: networks.map((network) => specOf(network, this.#host.paths.home)),
      ports,
      groups: this.groups.all().map(securityGroup),
      forwards,
    };
  }

  /** Its machine runs all the same. */
  #forwardChanged(name: string, problem: string | null): void {
    const machine = this.#machines.byId(this.forwards.records.byName(name)?.vm ?? '');
    if (!machine) return;
    const [what, message] =
      problem === null
        ? ['forward_opened', `the forward ${name} to ${machine.name} is open now`]
        : ['forward_failed', `the forward ${name} to ${machine.name} is not open: ${problem}`];
    machine.tell({ type: 'event', machine, noun: 'network', what: what as string, message: message as string });
  }

  /** Its machines run all the same. */
  #networkChanged(name: string, problem: string | null): void {
    const [what, message] =
      problem === null
        ? ['joined', `the network ${name} is joined to ${this.records.byName(name)?.interface} again`]
        : ['unjoined', `${problem}; until that is mended, machines in ${name} reach one another only`];
    this.#host.tell({ type: 'network', name, what: what as string, message: message as string });
  }

  /** @throws in_use, unsupported where a network of these cards is known not to lead where it should */
  checkProblems(nics: readonly { readonly network: string }[]): void {
    for (const { network } of nics) {
      const problem = this.here.problemOf(network);
      if (problem !== undefined) throw problem;
    }
  }

  /** Before a machine's process gets these cards: their taps are there. Null: it needs none. @throws missing_program, unsupported, in_use */
  async plug(machine: Machine, nics: readonly { readonly network: string }[] = machine.record.nics): Promise<Plugged | null> {
    if (!hasVirtual(machine.record)) return null;
    const { programs } = await this.here.able();
    for (const nic of machine.record.nics) if (isVirtual(nic)) this.records.get(nic.network);
    const before = this.#plugged.get(machine.id);
    if (before === undefined) this.#plugged.set(machine.id, null);
    try {
      await this.here.apply();
      this.checkProblems(nics);
      void this.flows.listen();
      return { enter: await this.here.inside(), program: programs.tap, vhost: await hasVhost() };
    } catch (error) {
      if (before === undefined) this.unplug(machine.id, null);
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

  /** On the daemon's return, when machines have been adopted. */
  async begin(): Promise<void> {
    for (const machine of this.#machines.all()) {
      if (machine.live && hasVirtual(machine.record)) this.has(machine.id, machine.live.process);
      // Its process may be there although it does not answer.
      else if (machine.record.state === 'broken' && machine.record.started !== null && hasVirtual(machine.record))
        this.#plugged.set(machine.id, null);
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

  /** The daemon goes. What no machine needs any more is removed. */
  async stop(): Promise<void> {
    clearInterval(this.#watch);
    await this.flows.stop();
    if (this.#plugged.size === 0)
      await this.here.end().catch((error: unknown) => this.#host.log.error({ error }, 'the networks could not be removed'));
    this.here.stop();
  }
}
