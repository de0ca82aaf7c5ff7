// This host's virtual networks: what is wanted of them is brought about in one go at a time, and what is right is left alone. Waiting
// calls are answered by the next go together, so that a hundred machines that start at once cost a few.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, type RunOptions, runOk, runProgram } from '../host/run.ts';
import { isUsable } from '../host/usable.ts';
import { isAddress } from './address.ts';
import { answerWay } from './answer-way.ts';
import { type Capability, findCapability } from './capability.ts';
import { Dnsmasqs, dnsFiles, isServed } from './dnsmasq.ts';
import type { PortCounters } from './firewall/counters.ts';
import { assertNamesCanBePinned, domainLines } from './firewall/egress.ts';
import { endFlowRecorder } from './flow-record.ts';
import { Forwards } from './forwarding.ts';
import { firewallOf } from './guarding.ts';
import { HostChanges } from './host-changes.ts';
import { HostNames, hostNamesOf } from './host-names.ts';
import { hostInterfaces } from './host-network.ts';
import { Joints } from './joints.ts';
import type { Wanted } from './model.ts';
import { Namespace } from './namespace.ts';
import { type Action, after, ipCommands, plan, vlanCommands } from './plan.ts';
import { nothing, type Present, presentFrom } from './present.ts';
import { RulesHere } from './rules-here.ts';
import { Shaping } from './shaping.ts';
import { type Uplink, Uplinks } from './uplink.ts';
import { Watching } from './watching.ts';

const deadlineMs = 30_000;
/** A package that was missing may be there by now. */
const lookAgainMs = 30_000;
const addressesLastMs = 10_000;

type Able = Extract<Capability, { ok: true }>;

interface Parts {
  readonly able: Able;
  readonly namespace: Namespace;
  readonly changes: HostChanges;
  readonly uplinks: Uplinks;
  /** Null: an ordinary user has none. */
  readonly joints: Joints | null;
  readonly dnsmasqs: Dnsmasqs;
  readonly forwards: Forwards;
}

export class NetworksHere {
  readonly #home: string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: (problem: unknown, message: string) => void;
  readonly #wanted: () => Wanted;
  /** Processes of machines, in case they are all that is left in the namespace. */
  readonly #guests: () => readonly number[];
  readonly #forwardChanged: (name: string, problem: string | null) => void;
  readonly #networkChanged: (name: string, problem: string | null) => void;
  #capability: { found: Promise<Capability>; at: number } | null = null;
  #parts: Parts | null = null;
  #present: Present | null = null;
  readonly #rules: RulesHere;
  readonly #names: HostNames;
  #uplink: Uplink | null = null;
  /** Answers to relays find back (answer-way.ts). */
  #answered = false;
  /** The host's own, which may change with what it is plugged into. */
  #hostAddresses: { found: readonly string[]; at: number } | null = null;
  #going: Promise<void> = Promise.resolve();
  /** The last go failed: what is wanted is not there. */
  #behind = false;
  #next: Promise<void> | null = null;
  readonly #shaping = new Shaping();
  readonly #stopping = new AbortController();

  /**
   * @param folder for run files @param forwardChanged a forward that should be open has another problem now, or none any more
   * @param hostNames the file in which the host is told the names of machines; null: it is not
   * @param networkChanged as forwardChanged, of a network that machines run in
   */
  constructor(options: {
    home: string;
    folder: string;
    env: NodeJS.ProcessEnv;
    log: (problem: unknown, message: string) => void;
    wanted: () => Wanted;
    guests: () => readonly number[];
    forwardChanged: (name: string, problem: string | null) => void;
    networkChanged: (name: string, problem: string | null) => void;
    hostNames: string | null;
  }) {
    this.#home = options.home;
    this.#folder = options.folder;
    this.#rules = new RulesHere(join(options.folder, 'rules.json'));
    this.#names = new HostNames(options.hostNames, options.home);
    this.#env = options.env;
    this.#log = options.log;
    this.#wanted = options.wanted;
    this.#guests = options.guests;
    this.#forwardChanged = options.forwardChanged;
    this.#networkChanged = options.networkChanged;
  }

  capability(): Promise<Capability> {
    if (this.#capability === null || Date.now() - this.#capability.at > lookAgainMs) {
      const look = { found: findCapability(this.#env), at: Date.now() };
      void look.found.then(
        (found) => {
          if (found.ok) look.at = Number.POSITIVE_INFINITY;
        },
        () => {
          this.#capability = null;
        },
      );
      this.#capability = look;
    }
    return this.#capability.found;
  }

  /** Why a network that machines run in does not lead where it should. */
  problemOf(network: string): VivError | undefined {
    return this.#parts?.joints?.problemOf(network) ?? this.#parts?.uplinks.conflictOf(network);
  }

  /** Why the host does not know machines by name; null: it does, or is not to. */
  get namesProblem(): string | null {
    return this.#names.problem;
  }

  /** @throws missing_program, unsupported where the host cannot have networks */
  async able(): Promise<Able> {
    const found = await this.capability();
    if (found.ok) return found;
    throw new VivError(found.code, `networks cannot be made on this host: ${found.why}. Without them: --network user`);
  }

  /** Brings the networks to what is wanted. Resolves when what was wanted at the call is there. */
  apply(): Promise<void> {
    // One go is under way and one waits for it; the one that waits will see what is wanted now.
    this.#next ??= this.#going.then(() => {
      this.#next = null;
      const going = this.#go();
      this.#going = going.then(
        () => {
          this.#behind = false;
        },
        () => {
          this.#behind = true;
        },
      );
      return going;
    });
    return this.#next;
  }

  /** What goes before a program's words so that it runs where the networks are. After apply(). */
  async inside(): Promise<string[]> {
    const { namespace } = await this.#made();
    if (!(await namespace.find())) throw new VivError('unavailable', 'there are no networks on this host now');
    return namespace.enter();
  }

  /** Looks again at what is there, instead of trusting what is known: for a daemon's return. */
  lookAgain(): void {
    this.#present = null;
    this.#rules.forget();
    this.#answered = false;
    this.#hostAddresses = null;
    this.#shaping.forget();
    this.#parts?.uplinks.forget();
  }

  /** Whether a namespace is there, made by whichever daemon of this home. */
  async exists(): Promise<boolean> {
    // Its holder cannot be without it, and most daemons of a test or of user-mode networks never make one.
    if (!(await isUsable(join(this.#folder, 'hold')))) return false;
    const found = await this.capability();
    return found.ok && (await (await this.#made()).namespace.find());
  }

  /** How a forward to a machine that runs is: open, or why not. Null: nothing is known yet. */
  async forward(name: string): Promise<'open' | { problem: string } | null> {
    const forwards = this.#parts?.forwards;
    if (!forwards) return null;
    const problem = forwards.problemOf(name);
    if (problem !== null) return { problem };
    return (await forwards.isOpen(name)) ? 'open' : null;
  }

  /** Looks after what serves the networks (the namespace, DHCP and DNS, the way out, what the host was given), and brings back what somebody has ended. */
  async look(): Promise<void> {
    const whole = this.#going.then(() => this.#whole());
    // No change comes between what is seen and what is made of it.
    this.#going = whole.then(
      () => {},
      () => {},
    );
    if (!(await whole)) await this.apply();
  }

  async #whole(): Promise<boolean> {
    if (this.#parts === null) return !this.#behind;
    const { namespace, dnsmasqs, uplinks, joints } = this.#parts;
    await this.#names.look();
    const wayOut = this.#uplink === null || (await uplinks.look());
    if (!wayOut) this.#uplink = null;
    const joined = (await joints?.look(this.#wanted().networks)) ?? true;
    if (!joined) this.#present = null;
    return !this.#behind && wayOut && joined && (await namespace.find()) && (await dnsmasqs.alive());
  }

  /** What passes and what is refused; null where there are no networks now. */
  async watching(): Promise<Watching | null> {
    if (!(await this.exists())) return null;
    const { able, namespace } = await this.#made();
    const has = (pid: number) => namespace.has(pid);
    return new Watching({ enter: namespace.enter(), has, programs: able.programs, env: this.#env, folder: this.#folder });
  }

  /** What was refused at each tap, since the rules are there. */
  async refused(): Promise<ReadonlyMap<string, PortCounters>> {
    const rules = await this.#rules.last();
    const counting = rules && (await this.watching())?.refused(rules);
    return (
      (await counting?.catch((error: unknown) => {
        if (error instanceof ProgramFailed) return null; // there are no rules yet
        throw error;
      })) ?? new Map()
    );
  }

  /** @throws unsupported where addresses cannot be learned from DNS */
  async checkNames(): Promise<void> {
    const { programs } = await this.able();
    assertNamesCanBePinned(await runOk(programs.dnsmasq, ['--version'], { timeoutMs: deadlineMs }));
  }

  /** Removes everything: for the end of the last machine. Repeatable. */
  async end(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#going;
    await this.#names.tell([]);
    // What is left of it may be without the namespace.
    if (!(await isUsable(this.#folder)) || !(await this.capability()).ok) return;
    const { namespace, uplinks, joints, changes, dnsmasqs, forwards } = await this.#made();
    await forwards.end();
    await endFlowRecorder(this.#folder);
    await dnsmasqs.end();
    await joints?.end();
    await uplinks.end();
    await changes.drop();
    await namespace.end();
    await rm(this.#folder, { recursive: true, force: true });
    this.lookAgain();
    this.#uplink = null;
    this.#behind = false;
  }

  stop(): void {
    this.#parts?.forwards.stop();
    this.#stopping.abort(new VivError('unavailable', 'the daemon is stopping'));
  }

  async #made(): Promise<Parts> {
    if (this.#parts) return this.#parts;
    const able = await this.able();
    const { programs, asUser } = able;
    const dnsmasqs = new Dnsmasqs(join(this.#folder, 'dns'), programs.dnsmasq);
    const again = () => this.apply().catch((error: unknown) => this.#log(error, 'the networks could not be brought up to date'));
    const forwards = new Forwards({
      ...{ folder: this.#folder, program: programs.forward, nobody: able.nobody, changed: this.#forwardChanged },
      again,
    });
    await Promise.all([dnsmasqs.adopt(), forwards.adopt()]);
    const changes = new HostChanges(this.#home, this.#folder);
    this.#parts ??= {
      able,
      namespace: new Namespace(this.#folder, programs, asUser),
      changes,
      uplinks: new Uplinks({ home: this.#home, folder: this.#folder, programs, asUser, changes }),
      joints: asUser ? null : new Joints(this.#home, programs.ip, changes, this.#networkChanged),
      dnsmasqs,
      forwards,
    };
    return this.#parts;
  }

  async #go(): Promise<void> {
    const wanted = this.#wanted();
    if (wanted.networks.length === 0 && !(await this.exists())) return this.#names.tell([]);
    const parts = await this.#made();
    await mkdir(this.#folder, { recursive: true, mode: 0o711 });
    if (await parts.namespace.make(this.#guests(), this.#stopping.signal)) {
      this.lookAgain();
      this.#present = nothing;
      this.#uplink = null;
    }
    try {
      await this.#bring(wanted, parts);
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error;
      // What is there is not what was known: somebody else has changed it.
      this.#log(error, 'the networks are looked at again, because a change failed');
      this.lookAgain();
      await this.#bring(wanted, parts);
    }
  }

  async #addresses(ip: string): Promise<readonly string[]> {
    if (this.#hostAddresses === null || Date.now() - this.#hostAddresses.at > addressesLastMs)
      this.#hostAddresses = { found: (await hostInterfaces(ip)).flatMap(({ addresses }) => addresses), at: Date.now() };
    return this.#hostAddresses.found;
  }

  async #bring(wanted: Wanted, parts: Parts): Promise<void> {
    const { able, namespace, uplinks, joints, dnsmasqs, forwards } = parts;
    const { programs } = able;
    const { signal } = this.#stopping;
    const enter = namespace.enter();
    const there = <T>(by: (program: string, args: readonly string[], options: RunOptions) => Promise<T>) => {
      return (program: string, args: readonly string[], input: string): Promise<T> => {
        const [first = '', ...rest] = [...enter, program, ...args];
        return by(first, rest, { timeoutMs: deadlineMs, input, signal, keepBytes: 256 * 1024 * 1024 });
      };
    };
    const [run, tryRun] = [there(runOk), there(runProgram)];
    const holder = namespace.holder?.pid ?? 0;
    // Whatever fails later, what is not wanted any more is not open.
    await forwards.close(wanted.forwards);
    if (await joints?.part(wanted.networks)) this.#present = null; // a port of a bridge is gone with it
    this.#present ??= presentFrom(
      await run(programs.ip, ['-details', '-json', 'address', 'show'], ''),
      able.vlans ? await run(programs.bridge, ['-json', 'vlan', 'show'], '') : '[]',
    );
    const outward = wanted.networks.some(({ kind }) => kind === 'nat' || kind === 'routed');
    if (outward) this.#uplink ??= await uplinks.make(enter, holder, this.#present.others, signal);
    for (const network of wanted.networks)
      if (network.kind === 'bridged' && able.asUser)
        throw new VivError('unsupported', `the network ${network.name} is bridged to an interface of the host, which takes root`);
    const planned = plan(wanted, this.#present);
    const apart = new Set<string>();
    for (const action of planned)
      if (action.do === 'join' && !this.#present.others.has(action.port)) {
        const network = wanted.networks.find(({ bridge }) => bridge === action.bridge);
        if (network && !(await joints?.join(network, holder, signal))) apart.add(action.port);
      }
    // Whoever cannot be joined to the host's interface keeps nobody else from being served.
    const actions = planned.filter((action) => !('port' in action && apart.has(action.port)));
    const model = firewallOf(wanted, {
      tracking: able.tracking,
      outward,
      hostAddresses: outward ? await this.#addresses(programs.ip) : [],
    });
    const servers = this.#env['VIV_RESOLVERS']?.split(/[\s,]+/).filter(isAddress) ?? this.#uplink?.servers ?? [];
    const [portsOf, guardedOf] = [Map.groupBy(wanted.ports, inNetwork), Map.groupBy(model.ports, inNetwork)];
    const files = new Map(
      wanted.networks.filter(isServed).map(
        (network) =>
          [
            network.name,
            dnsFiles(network, portsOf.get(network.name) ?? [], {
              ...{ folder: dnsmasqs.folderOf(network.name), servers, user: able.nobody },
              domains: domainLines(guardedOf.get(network.name) ?? []),
            }),
          ] as const,
      ),
    );
    const change = async (some: readonly Action[]) => {
      const commands = ipCommands(some);
      if (commands.length > 0) await run(programs.ip, ['-batch', '-'], `${commands.join('\n')}\n`);
      this.#present = after(this.#present ?? nothing, some);
    };
    const guardBridges = async () => {
      // Rules are there before what they guard.
      await this.#rules.apply(model, programs.nft, tryRun);
      await change(actions.filter((action) => !ofPort(action)));
    };
    await all(guardBridges(), dnsmasqs.prepare(files));
    // A dnsmasq that starts looks at every interface, so those of the machines come after it, and not at the same time: that takes three times as long.
    await all(dnsmasqs.apply(files, enter, signal), uplinks.serve(wanted.networks, signal), this.#names.tell(hostNamesOf(wanted)));
    await change(actions.filter(({ do: what }) => what === 'make tap' || what === 'mend tap'));
    const vlans = vlanCommands(actions);
    if (vlans.length > 0) await run(programs.bridge, ['-batch', '-'], `${vlans.join('\n')}\n`);
    await change(actions.filter(({ do: what }) => what === 'set vlans' || what === 'raise tap'));
    await this.#shaping.apply(model, programs, tryRun);
    if (wanted.forwards.length > 0 && !this.#answered) {
      await run('/bin/sh', ['-c', answerWay, 'sh', programs.ip], '');
      this.#answered = true;
    }
    await forwards.apply(wanted.forwards, { holder, has: (pid) => namespace.has(pid) }, signal);
  }
}

/** Side by side; none is at work any more when it throws. */
async function all(...works: readonly (Promise<void> | null)[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

const inNetwork = ({ network }: { readonly network: string }): string => network;
const ofPort = ({ do: what }: Action): boolean => ['make tap', 'mend tap', 'set vlans', 'raise tap'].includes(what);
