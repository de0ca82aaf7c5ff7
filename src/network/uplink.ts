// The way out of the namespace. As root a pair of interfaces, one end of which is the host's, which then routes and masquerades for us by
// a table of rules of our own; for an ordinary user pasta, which makes the guests' connections its own. What the host itself is given
// (interface, routes, rules, forwarding, bridges around its interfaces) is written down before it is made, and taken back at the end.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { runOk, runProgram } from '../host/run.ts';
import { endStaying, findStaying, type Staying } from '../host/stay.ts';
import { formatSubnet, nth, type Subnet, subnetOf } from './address.ts';
import { checkBridgeable } from './bridgeable.ts';
import type { NetworkPrograms } from './capability.ts';
import { hostInterfaces, hostRoutes, learnsIpv6Routes, resolvers } from './host-network.ts';
import { hostRules } from './host-rules.ts';
import type { NetworkSpec } from './model.ts';
import { hostBridge, hostTable, jointInside, jointOutside, uplinkInside, uplinkOutside } from './names.ts';
import { freeIpv4, freeIpv6 } from './subnet.ts';

/** What fails is told at once; only a host with far too much to do needs as long. */
const deadlineMs = 60_000;
/** Where pasta answers for the host's name server. */
const pastaResolver = '169.254.1.53';

/** What was made for the host, so that it can be taken back. */
const Made = z.object({
  ipv4: z.string(),
  ipv6: z.string(),
  /** Settings of the host's kernel that were 0 before. */
  forwarding: z.array(z.string()),
  joints: z.array(z.object({ network: z.string(), interface: z.string() })),
});
type Made = z.infer<typeof Made>;

export interface Uplink {
  /** Name servers as they are reached from inside. */
  readonly servers: readonly string[];
}

export class Uplinks {
  readonly #home: string;
  readonly #folder: string;
  readonly #programs: NetworkPrograms;
  readonly #asUser: boolean;
  #made: Made | null = null;
  #rules = '';
  /** Of the host to networks, by subnet. */
  #routes: ReadonlyMap<string, string> = new Map();
  readonly #conflicts = new Map<string, string>();

  constructor(home: string, folder: string, programs: NetworkPrograms, asUser: boolean) {
    this.#home = home;
    this.#folder = folder;
    this.#programs = programs;
    this.#asUser = asUser;
  }

  get #file(): string {
    return join(this.#folder, 'host.json');
  }
  get #pastaPid(): string {
    return join(this.#folder, 'pasta.pid');
  }

  /** Makes the way out where it is not there. Repeatable. @param holder pid of a process in the namespace */
  async make(enter: readonly string[], holder: number, present: ReadonlyMap<string, string | null>, signal: AbortSignal): Promise<Uplink> {
    if (this.#asUser) return { servers: await this.#makePasta(holder, signal) };
    await this.#recall();
    if (this.#made === null || !present.has(uplinkInside) || !(await this.#hasVeth())) await this.#makeVeth(enter, holder, signal);
    return { servers: await resolvers() };
  }

  /** Brings the host's rules and routes to what these networks need. Repeatable, and does nothing where nothing has changed. */
  async serve(networks: readonly NetworkSpec[], signal: AbortSignal): Promise<void> {
    if (this.#asUser || this.#made === null) return;
    const device = uplinkOutside(this.#home);
    const { ipv4, ipv6 } = this.#made;
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
      this.#conflicts.set(name, words);
    }
    return subnets.filter(({ name }) => !this.#conflicts.has(name));
  }

  /** Why the host cannot lead to a network: a sentence. */
  conflictOf(network: string): string | undefined {
    return this.#conflicts.get(network);
  }

  /** Gives interfaces of the host back that no network needs any more. Tells whether there were any. Repeatable. */
  async part(networks: readonly NetworkSpec[]): Promise<boolean> {
    if (this.#asUser) return false;
    await this.#recall();
    const made = this.#made;
    const needed = ({ network, interface: target }: Made['joints'][number]) =>
      networks.some((one) => one.name === network && one.kind === 'bridged' && one.interface === target);
    if (made === null || made.joints.every(needed)) return false;
    for (const { network } of made.joints.filter((joint) => !needed(joint))) await this.#unjoin(network);
    await this.#remember({ ...made, joints: made.joints.filter(needed) });
    return true;
  }

  async #unjoin(network: string): Promise<void> {
    for (const name of [jointOutside(this.#home, network), hostBridge(this.#home, network)])
      await runProgram(this.#programs.ip, ['link', 'del', 'dev', name], { timeoutMs: deadlineMs });
  }

  /** Joins a network to the host's interface: its near end is then to be made a port of the network's bridge. Repeatable. */
  async join(network: NetworkSpec, holder: number, signal: AbortSignal): Promise<void> {
    const { name } = network;
    const target = network.interface ?? '';
    const interfaces = await hostInterfaces(this.#programs.ip);
    const found = interfaces.find((one) => one.name === target);
    if (!found) throw new VivError('unsupported', `the network ${name} is bridged to ${target}, and the host has no such interface now`);
    await this.#recall();
    const outside = jointOutside(this.#home, name);
    const around = hostBridge(this.#home, name);
    // It may carry an address by now, which would be lost.
    if (found.master !== around) await checkBridgeable(this.#programs.ip, target);
    const made = this.#made ?? { ...this.#subnets([]), forwarding: [], joints: [] };
    await this.#remember({
      ...made,
      joints: [...made.joints.filter((joint) => joint.network !== name), { network: name, interface: target }],
    });
    const here = interfaces.some((one) => one.name === outside);
    const commands = [
      ...(here ? [`link del dev ${outside}`] : []),
      ...(found.isBridge || found.master === around
        ? []
        : [
            `link add name ${around} type bridge forward_delay 0 stp_state 0`,
            `link set dev ${around} addrgenmode none up`,
            `link set dev ${target} master ${around} up`,
          ]),
      `link add name ${outside} type veth peer name ${jointInside(name)} netns ${holder}`,
      `link set dev ${outside} master ${found.isBridge ? target : around} addrgenmode none up`,
    ];
    await this.#ip([], commands, signal);
  }

  /** Takes everything back that the host was given. Repeatable. */
  async end(): Promise<void> {
    await this.#endPasta();
    if (!this.#asUser) await this.#recall();
    if (this.#made !== null) {
      await runProgram(this.#programs.nft, ['delete', 'table', 'inet', hostTable(this.#home)], { timeoutMs: deadlineMs });
      for (const { network } of this.#made.joints) await this.#unjoin(network);
      await runProgram(this.#programs.ip, ['link', 'del', 'dev', uplinkOutside(this.#home)], { timeoutMs: deadlineMs });
      // Another home's way out may need it by now.
      const others = (await hostInterfaces(this.#programs.ip)).some(({ name }) => /^viv[0-9a-f]{8}$/.test(name));
      if (!others) for (const file of this.#made.forwarding) await writeFile(file, '0').catch(() => {});
    }
    this.#made = null;
    this.forget();
    await rm(this.#file, { force: true });
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
    const routes = await hostRoutes(ip);
    const made = this.#made ?? { ...this.#subnets(routes.map(({ subnet }) => subnet)), forwarding: [], joints: [] };
    const off: string[] = [];
    const wanted = ['/proc/sys/net/ipv4/ip_forward', ...((await learnsIpv6Routes(ip)) ? [] : ['/proc/sys/net/ipv6/conf/all/forwarding'])];
    for (const file of wanted) if ((await readFile(file, 'utf8').catch(() => '1')).trim() === '0') off.push(file);
    await this.#remember({ ...made, forwarding: [...new Set([...made.forwarding, ...off])] });
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
  async #wire(enter: readonly string[], holder: number, { ipv4, ipv6 }: Made, signal: AbortSignal): Promise<void> {
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

  #subnets(taken: readonly ReturnType<typeof subnetOf>[]): Pick<Made, 'ipv4' | 'ipv6'> {
    const seed = `${this.#home}\0uplink`;
    return { ipv4: formatSubnet(freeIpv4(seed, 30, taken)), ipv6: formatSubnet(freeIpv6(this.#home, seed, taken)) };
  }

  async #hasVeth(): Promise<boolean> {
    // Not /sys, which shows the networks of whoever mounted it.
    return (await readFile('/proc/self/net/dev', 'utf8')).includes(`${uplinkOutside(this.#home)}:`);
  }

  async #ip(enter: readonly string[], commands: readonly string[], signal: AbortSignal): Promise<void> {
    const [program = '', ...args] = [...enter, this.#programs.ip, '-batch', '-'];
    await runOk(program, args, { timeoutMs: deadlineMs, input: `${commands.join('\n')}\n`, signal });
  }

  async #recall(): Promise<void> {
    this.#made ??= await readFile(this.#file, 'utf8').then(
      (text) => Made.safeParse(JSON.parse(text)).data ?? null,
      () => null,
    );
  }

  async #remember(made: Made): Promise<void> {
    await writeFile(`${this.#file}.new`, JSON.stringify(made), { mode: 0o600 });
    await rename(`${this.#file}.new`, this.#file);
    this.#made = made;
  }

  /** Without pasta there is no way out, which `viv host` says. */
  async #makePasta(holder: number, signal: AbortSignal): Promise<string[]> {
    const { pasta } = this.#programs;
    if (pasta === null) return [];
    if (await this.#pasta()) return [pastaResolver];
    // No log file: Debian's AppArmor profile lets pasta write in a home, and it wants to read its log as well. It tells syslog.
    const words = [
      '--config-net',
      '--ns-ifname',
      uplinkInside,
      '--no-map-gw',
      '--dns-forward',
      pastaResolver,
      '--quiet',
      '--pid',
      this.#pastaPid,
    ];
    const closed = ['-t', '-u', '-T', '-U'].flatMap((flag) => [flag, 'none']);
    const target = ['--userns', `/proc/${holder}/ns/user`, '--netns', `/proc/${holder}/ns/net`];
    await rm(this.#pastaPid, { force: true });
    const result = await runProgram(pasta, [...words, ...closed, ...target], { timeoutMs: deadlineMs, signal });
    if (result.exitCode !== 0) throw new VivError('unsupported', `pasta could not be started: ${result.stderr.trim().slice(-500)}`);
    return [pastaResolver];
  }

  /** Whether it leads out still. */
  async alive(): Promise<boolean> {
    return this.#asUser ? this.#programs.pasta === null || (await this.#pasta()) !== null : this.#hasVeth();
  }

  #pasta(): Promise<Staying | null> {
    return findStaying(this.#pastaPid, this.#pastaPid);
  }

  async #endPasta(): Promise<void> {
    const pasta = await this.#pasta();
    if (pasta) await endStaying(pasta);
    await rm(this.#pastaPid, { force: true });
  }
}

const written = (subnet: Subnet) => ({ text: formatSubnet(subnet), family: subnet.family });
