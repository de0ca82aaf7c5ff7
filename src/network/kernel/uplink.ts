// The way out of the namespace. As root a pair of interfaces, one end of which is the host's, which then routes and masquerades for us by
// a table of rules of our own; for an ordinary user pasta, which makes the guests' connections its own. What the host itself is given
// (interface, routes, rules, forwarding, bridges around its interfaces) is written down before it is made, and taken back at the end.
import { readFile } from 'node:fs/promises';
import { VivError } from '../../contract/errors.ts';
import { runOk, runProgram } from '../../host/run.ts';
import { formatSubnet, nth, type Subnet, subnetOf } from '../address/address.ts';
import type { NetworkPrograms } from '../capability.ts';
import { digestArguments, digestOf, hostRules } from '../firewall/host-table.ts';
import { leadsOut, type NetworkSpec } from '../model.ts';
import type { HostChanges } from './host-changes.ts';
import { type HostRoute, hostRoutes, learnsIpv6Routes, resolvers, runBatch } from './host-network.ts';
import { hostTable, uplinkInside, uplinkOutside } from './interface-names.ts';
import { ipv4Forwarding, ipv6Forwarding, switchedOff, turnOff, turnOn } from './ip-forwarding.ts';
import { Pasta } from './pasta.ts';

/** What fails is told at once; only a host with far too much to do needs as long. */
const deadlineMs = 60_000;

export interface Uplink {
  /** Name servers as they are reached from inside. */
  readonly servers: readonly string[];
}

export class Uplinks {
  readonly #stateDirectory: string;
  readonly #programs: NetworkPrograms;
  readonly #changes: HostChanges;
  /** Null: as root there is none. */
  readonly #pasta: Pasta | null;
  #rules = '';
  /** It was made, and has not served yet. */
  #isNew = false;
  /** Subnets to which the host has routes of ours; null: it has to be asked. */
  #routes: ReadonlySet<string> | null = null;
  #conflicts: ReadonlyMap<string, VivError> = new Map();

  /** @param folder for run files */
  constructor(options: { stateDirectory: string; folder: string; programs: NetworkPrograms; asUser: boolean; changes: HostChanges }) {
    this.#stateDirectory = options.stateDirectory;
    this.#programs = options.programs;
    this.#changes = options.changes;
    this.#pasta = options.asUser ? new Pasta(options.programs.pasta, options.folder) : null;
  }

  /** Makes the way out where it is not there. Repeatable. @param holder pid of a process in the namespace */
  async make(enter: readonly string[], holder: number, present: ReadonlyMap<string, string | null>, signal: AbortSignal): Promise<Uplink> {
    if (this.#pasta) return { servers: await this.#pasta.make(holder, signal) };
    if ((await this.#changes.read()) === null || !present.has(uplinkInside) || !(await this.#hasVeth()))
      await this.#makeVeth(enter, holder, signal);
    return { servers: await resolvers() };
  }

  /** Brings the host's rules and routes to what these networks need. Repeatable, and does nothing where nothing has changed. */
  async serve(networks: readonly NetworkSpec[], signal: AbortSignal): Promise<void> {
    const made = this.#pasta ? null : await this.#changes.read();
    if (made === null || !(await this.#hasVeth())) {
      this.#conflicts = new Map();
      return;
    }
    await turnOn(made.forwards, made.forwarding, this.#isNew);
    this.#isNew = false;
    const device = uplinkOutside(this.#stateDirectory);
    const { ipv4, ipv6 } = made;
    const reached = networks.filter(leadsOut);
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

  /** Routes to these networks and no others, but for those to which the host has a way of its own by now: it keeps that, and they are returned. */
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
    const present = ours(there, device);
    for (const { name, text } of subnets) {
      const other = there.find((route) => route.device !== device && formatSubnet(route.subnet) === text);
      if (other === undefined || present.has(text)) continue;
      const words = `the network ${name} has the subnet ${text}, and the host has a route of its own there by now (dev ${other.device}); remove that, or move the VMs to another network`;
      conflicts.set(name, new VivError('in_use', words));
    }
    const free = subnets.filter(({ name }) => !conflicts.has(name));
    const routes = new Set(free.map(({ text }) => text));
    const gone = [...present].filter((text) => !routes.has(text)).map((text) => `route del ${text} dev ${device}`);
    const fresh = free.filter(({ text }) => !present.has(text));
    const added = fresh.map(({ text, family }) => `route replace ${text} via ${via[family]} dev ${device}`);
    if (gone.length + added.length > 0) await runBatch([this.#programs.ip], [...gone, ...added], signal);
    this.#routes = routes;
    return conflicts;
  }

  /** Why the host cannot lead to a network. */
  conflictOf(network: string): VivError | undefined {
    return this.#conflicts.get(network);
  }

  /** Takes everything back that the host was given. Repeatable. */
  async end(): Promise<void> {
    await this.#pasta?.end();
    const made = this.#pasta ? null : await this.#changes.read();
    if (made !== null) {
      await runProgram(this.#programs.nft, ['delete', 'table', 'inet', hostTable(this.#stateDirectory)], { timeoutMs: deadlineMs });
      await runProgram(this.#programs.ip, ['link', 'del', 'dev', uplinkOutside(this.#stateDirectory)], { timeoutMs: deadlineMs });
      await turnOff(this.#programs.ip, made.forwarding);
    }
    this.forget();
  }

  /** The host may have lost its part, or the namespace have been made anew: nothing that was known holds. */
  forget(): void {
    this.#rules = '';
    this.#routes = null;
  }

  async #makeVeth(enter: readonly string[], holder: number, signal: AbortSignal): Promise<void> {
    const { ip } = this.#programs;
    const outside = uplinkOutside(this.#stateDirectory);
    if (await this.#hasVeth()) await runBatch([this.#programs.ip], [`link del dev ${outside}`], signal);
    const made = await this.#changes.begun(ip);
    const forwards = [ipv4Forwarding, ...((await learnsIpv6Routes(ip)) ? [] : [ipv6Forwarding])];
    await this.#changes.write({ ...made, forwards });
    try {
      await this.#wire(enter, holder, made, signal);
    } catch (error) {
      await runProgram(ip, ['link', 'del', 'dev', outside], { timeoutMs: deadlineMs });
      throw error;
    }
    this.forget();
    this.#isNew = true;
  }

  /** Both ends with their addresses. */
  async #wire(
    enter: readonly string[],
    holder: number,
    { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string },
    signal: AbortSignal,
  ): Promise<void> {
    const outside = uplinkOutside(this.#stateDirectory);
    const [four, six] = [subnetOf(ipv4), subnetOf(ipv6)];
    await runBatch(
      [this.#programs.ip],
      [
        `link add name ${outside} type veth peer name ${uplinkInside} netns ${holder}`,
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
        `address add ${nth(four, 2n)}/30 dev ${uplinkInside}`,
        `address add ${nth(six, 2n)}/64 dev ${uplinkInside} nodad`,
        `link set dev ${uplinkInside} up`,
        `route replace default via ${nth(four, 1n)} dev ${uplinkInside}`,
        `route replace ::/0 via ${nth(six, 1n)} dev ${uplinkInside}`,
      ],
      signal,
    );
  }

  async #hasVeth(): Promise<boolean> {
    // Not /sys, which shows the networks of whoever mounted it.
    return (await readFile('/proc/self/net/dev', 'utf8')).includes(`${uplinkOutside(this.#stateDirectory)}:`);
  }

  /**
   * How it is: `gone`, for make() to make it again; `lacking` what serve() gives the host, another program's doing; or `whole`.
   * @param closely also what takes three programs to find out
   */
  async look(closely: boolean): Promise<'gone' | 'lacking' | 'whole'> {
    if (this.#pasta) return (await this.#pasta.alive()) ? 'whole' : 'gone';
    const made = await this.#changes.read();
    if (made === null || !(await this.#hasVeth())) return 'gone';
    if (!closely) return 'whole';
    const { nft, ip } = this.#programs;
    const table = runProgram(nft, digestArguments(hostTable(this.#stateDirectory)), { timeoutMs: deadlineMs });
    const [applied, there, off] = await Promise.all([table, hostRoutes(ip), switchedOff(made.forwards)]);
    const routes = ours(there, uplinkOutside(this.#stateDirectory));
    const known = this.#routes;
    const whole =
      applied.stdout.includes(digestOf(this.#rules)) && off.length === 0 && [...(known ?? [])].every((text) => routes.has(text));
    if (!whole) this.forget();
    // What stood in the way of a network may be gone.
    if (this.#conflicts.size > 0) this.#routes = null;
    return whole && this.#conflicts.size === 0 ? 'whole' : 'lacking';
  }
}

/** Subnets that routes of ours lead to. */
const ours = (routes: readonly HostRoute[], device: string): Set<string> =>
  new Set(routes.filter((route) => route.device === device && !route.byKernel).map(({ subnet }) => formatSubnet(subnet)));

const written = (subnet: Subnet) => ({ text: formatSubnet(subnet), family: subnet.family });
