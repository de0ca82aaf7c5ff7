// The uplink of the namespace. As root a veth pair, with the host routing and masquerading by an nftables table of Vivarium's; for an ordinary user
// pasta. What is changed on the host (interface, routes, table, forwarding) is recorded first (host-changes.ts) and undone at the end.
import { readFile } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import { runOk, runProgram } from '../../host/process/run.ts';
import { formatSubnet, nth, type Subnet, subnetOf } from '../address/address.ts';
import type { NetworkPrograms } from '../capability.ts';
import { digestArguments, digestOf, hostRules } from '../firewall/host-table.ts';
import { hasUplink, type NetworkSpec } from '../model.ts';
import type { HostChanges } from './host-changes.ts';
import { type HostRoute, hostRoutes, learnsIpv6Routes, resolvers, runBatch } from './host-network.ts';
import { hostTable, uplinkInNamespace, uplinkOnHost } from './interface-names.ts';
import { ipv4Forwarding, ipv6Forwarding, switchedOff, turnOff, turnOn } from './ip-forwarding.ts';
import { Pasta } from './pasta.ts';

/** Failures are immediate; only an overloaded host needs this long. */
const deadlineMs = 60_000;

export interface Uplink {
  /** Name servers as the namespace reaches them. */
  readonly servers: readonly string[];
}

export class Uplinks {
  readonly #stateDirectory: string;
  readonly #programs: NetworkPrograms;
  readonly #changes: HostChanges;
  /** Null: root uses a veth pair. */
  readonly #pasta: Pasta | null;
  #rules = '';
  /** It was created, and applyHostRules() has not run since. */
  #isNew = false;
  /** Subnets to which the host has routes through the uplink; null: not known. */
  #routes: ReadonlySet<string> | null = null;
  #conflicts: ReadonlyMap<string, VivError> = new Map();

  /** @param folder for run files */
  constructor(options: { stateDirectory: string; folder: string; programs: NetworkPrograms; asUser: boolean; changes: HostChanges }) {
    this.#stateDirectory = options.stateDirectory;
    this.#programs = options.programs;
    this.#changes = options.changes;
    this.#pasta = options.asUser ? new Pasta(options.programs.pasta, options.folder) : null;
  }

  /**
   * Creates the uplink where it does not exist. Repeatable.
   * @param holder pid of a process in the namespace
   * @param others the interfaces in the namespace
   */
  async ensure(enter: readonly string[], holder: number, others: ReadonlyMap<string, string | null>, signal: AbortSignal): Promise<Uplink> {
    if (this.#pasta) return { servers: await this.#pasta.ensure(holder, signal) };
    if ((await this.#changes.read()) === null || !others.has(uplinkInNamespace) || !(await this.#hasVeth()))
      await this.#createVeth(enter, holder, signal);
    return { servers: await resolvers() };
  }

  /** Reconciles the host's rules and routes with these networks. Repeatable; does nothing where nothing has changed. */
  async applyHostRules(networks: readonly NetworkSpec[], signal: AbortSignal): Promise<void> {
    const made = this.#pasta ? null : await this.#changes.read();
    if (made === null || !(await this.#hasVeth())) {
      this.#conflicts = new Map();
      return;
    }
    await turnOn(made.forwards, this.#isNew);
    this.#isNew = false;
    const device = uplinkOnHost(this.#stateDirectory);
    const { ipv4, ipv6 } = made;
    const reached = networks.filter(hasUplink);
    this.#conflicts = await this.#route(reached, device, { 4: nth(subnetOf(ipv4), 2n), 6: nth(subnetOf(ipv6), 2n) }, signal);
    const rules = hostRules({
      table: hostTable(this.#stateDirectory),
      uplink: device,
      addresses: [nth(subnetOf(ipv4), 2n), nth(subnetOf(ipv6), 2n)],
      routed: networks
        .filter(({ kind }) => kind === 'routed')
        .flatMap(({ ipv4: own4, ipv6: own6 }) => [own4, own6].filter((text) => text !== null)),
      open: reached.flatMap(({ hostAccess }) => hostAccess),
    });
    if (rules === this.#rules) return;
    await runOk(this.#programs.nft, ['-f', '-'], { timeoutMs: deadlineMs, input: rules, signal });
    this.#rules = rules;
  }

  /** Routes to these networks and no others. A subnet that the host has another route to is left alone and returned as a conflict. */
  async #route(
    networks: readonly NetworkSpec[],
    device: string,
    via: { readonly 4: string; readonly 6: string },
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, VivError>> {
    const subnets = networks.flatMap(({ name, ipv4, ipv6 }) =>
      [ipv4, ipv6].filter((given) => given !== null).map((given) => ({ name, ...written(subnetOf(given)) })),
    );
    const known = this.#routes;
    const conflicts = new Map<string, VivError>();
    if (known?.size === subnets.length && subnets.every(({ text }) => known.has(text))) return conflicts;
    const there = await hostRoutes(this.#programs.ip);
    const actual = ownRoutes(there, device);
    for (const { name, text } of subnets) {
      const other = there.find((route) => route.device !== device && formatSubnet(route.subnet) === text);
      if (other === undefined || actual.has(text)) continue;
      const words = `the host has another route to ${text}, the subnet of the network ${name} (dev ${other.device}). Remove that route, or move the VMs to another network`;
      conflicts.set(name, new VivError('in_use', words));
    }
    const free = subnets.filter(({ name }) => !conflicts.has(name));
    const routes = new Set(free.map(({ text }) => text));
    const gone = [...actual].filter((text) => !routes.has(text)).map((text) => `route del ${text} dev ${device}`);
    const fresh = free.filter(({ text }) => !actual.has(text));
    const added = fresh.map(({ text, family }) => `route replace ${text} via ${via[family]} dev ${device}`);
    if (gone.length + added.length > 0) await runBatch([this.#programs.ip], [...gone, ...added], signal);
    this.#routes = routes;
    return conflicts;
  }

  /** Why the host has no route to a network. */
  conflictOf(network: string): VivError | undefined {
    return this.#conflicts.get(network);
  }

  /** Undoes every change of the host. Repeatable. */
  async end(): Promise<void> {
    await this.#pasta?.end();
    const made = this.#pasta ? null : await this.#changes.read();
    if (made !== null) {
      await runProgram(this.#programs.nft, ['delete', 'table', 'inet', hostTable(this.#stateDirectory)], { timeoutMs: deadlineMs });
      await runProgram(this.#programs.ip, ['link', 'del', 'dev', uplinkOnHost(this.#stateDirectory)], { timeoutMs: deadlineMs });
      await turnOff(this.#programs.ip);
    }
    this.forget();
  }

  /** The host's part may be lost or the namespace may be new: nothing is known. */
  forget(): void {
    this.#rules = '';
    this.#routes = null;
  }

  async #createVeth(enter: readonly string[], holder: number, signal: AbortSignal): Promise<void> {
    const { ip } = this.#programs;
    const outside = uplinkOnHost(this.#stateDirectory);
    if (await this.#hasVeth()) await runBatch([this.#programs.ip], [`link del dev ${outside}`], signal);
    const made = await this.#changes.readOrCreate(ip);
    const forwards = [ipv4Forwarding, ...((await learnsIpv6Routes(ip)) ? [] : [ipv6Forwarding])];
    await this.#changes.write({ ...made, forwards });
    try {
      await this.#configureVeth(enter, holder, made, signal);
    } catch (error) {
      await runProgram(ip, ['link', 'del', 'dev', outside], { timeoutMs: deadlineMs });
      throw error;
    }
    this.forget();
    this.#isNew = true;
  }

  /** Creates both ends with their addresses and the namespace's default routes. */
  async #configureVeth(
    enter: readonly string[],
    holder: number,
    { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string },
    signal: AbortSignal,
  ): Promise<void> {
    const outside = uplinkOnHost(this.#stateDirectory);
    const [four, six] = [subnetOf(ipv4), subnetOf(ipv6)];
    await runBatch(
      [this.#programs.ip],
      [
        `link add name ${outside} type veth peer name ${uplinkInNamespace} netns ${holder}`,
        `link set dev ${outside} addrgenmode none`,
        `address add ${nth(four, 1n)}/30 dev ${outside}`,
        `address add ${nth(six, 1n)}/64 dev ${outside} nodad`,
        `link set dev ${outside} up`,
      ],
      signal,
    );
    await runBatch(
      [...enter, this.#programs.ip],
      [
        `address add ${nth(four, 2n)}/30 dev ${uplinkInNamespace}`,
        `address add ${nth(six, 2n)}/64 dev ${uplinkInNamespace} nodad`,
        `link set dev ${uplinkInNamespace} up`,
        `route replace default via ${nth(four, 1n)} dev ${uplinkInNamespace}`,
        `route replace ::/0 via ${nth(six, 1n)} dev ${uplinkInNamespace}`,
      ],
      signal,
    );
  }

  async #hasVeth(): Promise<boolean> {
    // Not /sys, which shows the network namespace of the process that mounted it.
    return (await readFile('/proc/self/net/dev', 'utf8')).includes(`${uplinkOnHost(this.#stateDirectory)}:`);
  }

  /**
   * `gone`: ensure() has to create it again. `incomplete`: another program has removed something on the host, applyHostRules() has to run. `intact`
   * otherwise.
   * @param closely whether to check as well what takes three programs
   */
  async check(closely: boolean): Promise<'gone' | 'incomplete' | 'intact'> {
    if (this.#pasta) return (await this.#pasta.isAlive()) ? 'intact' : 'gone';
    const made = await this.#changes.read();
    if (made === null || !(await this.#hasVeth())) return 'gone';
    if (!closely) return 'intact';
    const { nft, ip } = this.#programs;
    const table = runProgram(nft, digestArguments(hostTable(this.#stateDirectory)), { timeoutMs: deadlineMs });
    const [applied, there, off] = await Promise.all([table, hostRoutes(ip), switchedOff(made.forwards)]);
    const routes = ownRoutes(there, uplinkOnHost(this.#stateDirectory));
    const known = this.#routes;
    const isIntact =
      applied.stdout.includes(digestOf(this.#rules)) && off.length === 0 && [...(known ?? [])].every((text) => routes.has(text));
    if (!isIntact) this.forget();
    // A conflicting route may be gone.
    if (this.#conflicts.size > 0) this.#routes = null;
    return isIntact && this.#conflicts.size === 0 ? 'intact' : 'incomplete';
  }
}

/** Subnets with a route through the uplink. */
const ownRoutes = (routes: readonly HostRoute[], device: string): Set<string> =>
  new Set(routes.filter((route) => route.device === device && !route.byKernel).map(({ subnet }) => formatSubnet(subnet)));

const written = (subnet: Subnet) => ({ text: formatSubnet(subnet), family: subnet.family });
