// The way out of the namespace. As root a pair of interfaces, one end of which is the host's, which then routes and masquerades for us by
// a table of rules of our own; for an ordinary user pasta, which makes the guests' connections its own. What the host itself is given
// (interface, routes, rules, forwarding, bridges around its interfaces) is written down before it is made, and taken back at the end.
import { readFile, writeFile } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { runOk, runProgram } from '../host/run.ts';
import { formatSubnet, nth, type Subnet, subnetOf } from './address.ts';
import type { NetworkPrograms } from './capability.ts';
import type { HostChanges } from './host-changes.ts';
import { hostInterfaces, hostRoutes, learnsIpv6Routes, resolvers } from './host-network.ts';
import { hostRules } from './host-rules.ts';
import type { NetworkSpec } from './model.ts';
import { hostTable, uplinkInside, uplinkOutside } from './names.ts';
import { Pasta } from './pasta.ts';

/** What fails is told at once; only a host with far too much to do needs as long. */
const deadlineMs = 60_000;

export interface Uplink {
  /** Name servers as they are reached from inside. */
  readonly servers: readonly string[];
}

export class Uplinks {
  readonly #home: string;
  readonly #programs: NetworkPrograms;
  readonly #changes: HostChanges;
  /** Null: as root there is none. */
  readonly #pasta: Pasta | null;
  #rules = '';
  /** Of the host to networks, by subnet. */
  #routes: ReadonlyMap<string, string> = new Map();
  readonly #conflicts = new Map<string, VivError>();

  /** @param folder for run files */
  constructor(options: { home: string; folder: string; programs: NetworkPrograms; asUser: boolean; changes: HostChanges }) {
    this.#home = options.home;
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
    if (made === null) return;
    const device = uplinkOutside(this.#home);
    const { ipv4, ipv6 } = made;
    const reached = networks.filter(({ kind }) => kind === 'nat' || kind === 'routed');
    const via = { 4: nth(subnetOf(ipv4), 2n), 6: nth(subnetOf(ipv6), 2n) };
    const free = await this.#free(reached, device);
    const routes = new Map(free.map(({ text, family }) => [text, `${text} via ${via[family]} dev ${device}`]));
    const gone = [...this.#routes].filter(([subnet, route]) => routes.get(subnet) !== route);
    if (gone.length > 0)
      await this.#ip(
        [],
        gone.map(([, route]) => `route del ${route}`),
        signal,
      ).catch(() => {}); // they went with their interface
    const fresh = [...routes].filter(([subnet, route]) => this.#routes.get(subnet) !== route);
    if (fresh.length > 0)
      await this.#ip(
        [],
        fresh.map(([, route]) => `route replace ${route}`),
        signal,
      );
    this.#routes = routes;
    const rules = hostRules({
      table: hostTable(this.#home),
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

  /** Subnets of networks, but for those to which the host has a way of its own by now: it keeps that. */
  async #free(networks: readonly NetworkSpec[], device: string): Promise<{ text: string; family: 4 | 6 }[]> {
    const subnets = networks.flatMap(({ name, ipv4, ipv6 }) =>
      [ipv4, ipv6].filter((given) => given !== null).map((given) => ({ name, ...written(subnetOf(given)) })),
    );
    if (subnets.every(({ text }) => this.#routes.has(text))) return subnets;
    this.#conflicts.clear();
    const there = Map.groupBy(await hostRoutes(this.#programs.ip), ({ subnet }) => formatSubnet(subnet));
    for (const { name, text } of subnets) {
      const ways = there.get(text) ?? [];
      const [other] = ways;
      if (other === undefined || ways.some((route) => route.device === device)) continue;
      const words = `the network ${name} has the subnet ${text}, and the host has a route of its own there by now (dev ${other.device}); remove that, or move the machines to another network`;
      this.#conflicts.set(name, new VivError('in_use', words));
    }
    return subnets.filter(({ name }) => !this.#conflicts.has(name));
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
      await runProgram(this.#programs.nft, ['delete', 'table', 'inet', hostTable(this.#home)], { timeoutMs: deadlineMs });
      await runProgram(this.#programs.ip, ['link', 'del', 'dev', uplinkOutside(this.#home)], { timeoutMs: deadlineMs });
      // Another home's way out may need it by now.
      const others = (await hostInterfaces(this.#programs.ip)).some(({ name }) => /^viv[0-9a-f]{8}$/.test(name));
      if (!others) for (const file of made.forwarding) await writeFile(file, '0').catch(() => {});
    }
    this.forget();
  }

  /** The host may have lost its part, or the namespace have been made anew: nothing that was known holds. */
  forget(): void {
    this.#rules = '';
    this.#routes = new Map();
  }

  async #makeVeth(enter: readonly string[], holder: number, signal: AbortSignal): Promise<void> {
    const { ip } = this.#programs;
    const outside = uplinkOutside(this.#home);
    if (await this.#hasVeth()) await this.#ip([], [`link del dev ${outside}`], signal);
    const made = await this.#changes.begun(ip);
    const off: string[] = [];
    const wanted = ['/proc/sys/net/ipv4/ip_forward', ...((await learnsIpv6Routes(ip)) ? [] : ['/proc/sys/net/ipv6/conf/all/forwarding'])];
    for (const file of wanted) if ((await readFile(file, 'utf8').catch(() => '1')).trim() === '0') off.push(file);
    await this.#changes.write({ ...made, forwarding: [...new Set([...made.forwarding, ...off])] });
    try {
      await this.#wire(enter, holder, made, signal);
    } catch (error) {
      await runProgram(ip, ['link', 'del', 'dev', outside], { timeoutMs: deadlineMs });
      throw error;
    }
    for (const file of off) await writeFile(file, '1');
    this.forget();
  }

  /** Both ends with their addresses. */
  async #wire(
    enter: readonly string[],
    holder: number,
    { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string },
    signal: AbortSignal,
  ): Promise<void> {
    const outside = uplinkOutside(this.#home);
    const [four, six] = [subnetOf(ipv4), subnetOf(ipv6)];
    await this.#ip(
      [],
      [
        `link add name ${outside} type veth peer name ${uplinkInside} netns ${holder}`,
        `link set dev ${outside} addrgenmode none`,
        `address add ${nth(four, 1n)}/30 dev ${outside}`,
        `address add ${nth(six, 1n)}/64 dev ${outside} nodad`,
        `link set dev ${outside} up`,
      ],
      signal,
    );
    await this.#ip(
      enter,
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
    return (await readFile('/proc/self/net/dev', 'utf8')).includes(`${uplinkOutside(this.#home)}:`);
  }

  async #ip(enter: readonly string[], commands: readonly string[], signal: AbortSignal): Promise<void> {
    const [program = '', ...args] = [...enter, this.#programs.ip, '-batch', '-'];
    await runOk(program, args, { timeoutMs: deadlineMs, input: `${commands.join('\n')}\n`, signal });
  }

  /** Whether it leads out still. */
  async alive(): Promise<boolean> {
    return this.#pasta ? this.#pasta.alive() : this.#hasVeth();
  }
}

const written = (subnet: Subnet) => ({ text: formatSubnet(subnet), family: subnet.family });
