// This host's virtual networks: what is wanted of them is brought about in one go at a time, and what is right is left alone. Waiting
// calls are answered by the next go together, so that a hundred VMs that start at once cost a few.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { ProgramFailed, runOk } from '../../host/run.ts';
import { isUsable } from '../../host/usable.ts';
import { HostNames } from '../address/host-names.ts';
import { type Able, type Capability, findCapability } from '../capability.ts';
import { Dnsmasqs } from '../dns/dnsmasq.ts';
import { RulesHere } from '../firewall/applied-rules.ts';
import type { PortCounters } from '../firewall/counters.ts';
import { assertNamesCanBePinned } from '../firewall/egress.ts';
import { endFlowRecorder } from '../flow/record.ts';
import { Watching } from '../flow/watch.ts';
import { Forwards } from '../forward/relays.ts';
import type { Desired } from '../model.ts';
import { BridgeUplinks } from './bridge-uplinks.ts';
import { HostChanges } from './host-changes.ts';
import { KernelState, type Parts } from './kernel-state.ts';
import { Namespace } from './namespace.ts';
import { Uplinks } from './uplink.ts';

const deadlineMs = 30_000;
/** A package that was missing may be there by now. */
const lookAgainMs = 30_000;

export class NetworksHere {
  readonly #stateDirectory: string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: (problem: unknown, message: string) => void;
  readonly #desired: () => Desired;
  /** Processes of VMs, in case they are all that is left in the namespace. */
  readonly #guests: () => readonly number[];
  readonly #forwardChanged: (name: string, problem: string | null) => void;
  readonly #networkChanged: (name: string, problem: string | null) => void;
  #capability: { found: Promise<Capability>; at: number } | null = null;
  #parts: Parts | null = null;
  readonly #rules: RulesHere;
  readonly #names: HostNames;
  readonly #standing: KernelState;
  /** What is done to the networks is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  /** A go that waits for its turn. */
  #next: Promise<void> | null = null;
  /** The last go failed: what is wanted is not there. */
  #behind = false;
  /** Why it failed: told once. */
  #said = '';
  readonly #stopping = new AbortController();

  /**
   * @param folder for run files @param forwardChanged a forward that should be open has another problem now, or none any more
   * @param hostNames the file in which the host is told the names of VMs; null: it is not
   * @param networkChanged as forwardChanged, of a network that VMs run in
   */
  constructor(options: {
    stateDirectory: string;
    folder: string;
    env: NodeJS.ProcessEnv;
    log: (problem: unknown, message: string) => void;
    desired: () => Desired;
    guests: () => readonly number[];
    forwardChanged: (name: string, problem: string | null) => void;
    networkChanged: (name: string, problem: string | null) => void;
    hostNames: string | null;
  }) {
    this.#stateDirectory = options.stateDirectory;
    this.#folder = options.folder;
    this.#rules = new RulesHere(join(options.folder, 'rules.json'));
    this.#names = new HostNames(options.hostNames, options.stateDirectory);
    this.#standing = new KernelState(options.env, this.#rules, this.#names);
    this.#env = options.env;
    this.#log = options.log;
    this.#desired = options.desired;
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

  /** A process in the namespace that the networks are in; null where there is none. */
  get namespacePid(): number | null {
    return this.#parts?.namespace.holder?.pid ?? null;
  }

  /** Why a network that VMs run in does not lead where it should. */
  problemOf(network: string): VivError | undefined {
    const parts = this.#parts;
    return parts?.bridgeUplinks?.problemOf(network) ?? parts?.uplinks.conflictOf(network) ?? parts?.dnsmasqs.problemOf(network);
  }

  /** Why the host does not know VMs by name; null: it does, or is not to. */
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
    this.#next ??= this.#inTurn(async () => {
      this.#next = null;
      this.#behind = true;
      await this.#go();
      this.#behind = false;
      this.#said = '';
    });
    return this.#next;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#last.then(act);
    this.#last = acting.catch(() => {});
    return acting;
  }

  /** What goes before a program's words so that it runs where the networks are. After apply(). */
  async inside(): Promise<string[]> {
    const { namespace } = await this.#made();
    if (!(await namespace.find())) throw new VivError('unavailable', 'there are no networks on this host now');
    return namespace.enter();
  }

  /** Looks again at what is there, instead of trusting what is known: for a daemon's return. */
  lookAgain(): void {
    this.#standing.lookAgain(this.#parts);
  }

  /** Whether a namespace is there, made by whichever daemon of this home. */
  async exists(): Promise<boolean> {
    // Its holder cannot be without it, and most daemons of a test or of user-mode networks never make one.
    if (!(await isUsable(join(this.#folder, 'hold')))) return false;
    const found = await this.capability();
    return found.ok && (await (await this.#made()).namespace.find());
  }

  /** How a forward to a VM that runs is: open, or why not. Null: nothing is known yet. */
  async forward(name: string): Promise<'open' | { problem: string } | null> {
    const forwards = this.#parts?.forwards;
    if (!forwards) return null;
    const problem = forwards.problemOf(name);
    if (problem !== null) return { problem };
    return (await forwards.isOpen(name)) ? 'open' : null;
  }

  /** Looks after what serves the networks (the namespace, DHCP and DNS, the way out, what the host was given), and brings back what somebody has ended. */
  async look(): Promise<void> {
    const whole = await this.#inTurn(async () => {
      if (this.#parts === null) return !this.#behind;
      const whole = await this.#standing.whole(this.#desired(), this.#parts, this.#stopping.signal);
      return whole && !this.#behind;
    });
    if (!whole) await this.apply();
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

  /** Removes everything: for the end of the last VM. Repeatable. */
  async end(): Promise<void> {
    await this.#inTurn(() => this.#end());
  }

  async #end(): Promise<void> {
    await this.#names.tell([]);
    if (this.#names.problem !== null) this.#log(null, this.#names.problem);
    // What is left of it may be without the namespace.
    if (!(await isUsable(this.#folder)) || !(await this.capability()).ok) return;
    const { namespace, uplinks, bridgeUplinks, changes, dnsmasqs, forwards } = await this.#made();
    await forwards.end();
    await endFlowRecorder(this.#folder);
    await dnsmasqs.end();
    await bridgeUplinks?.end();
    await uplinks.end();
    await changes.drop();
    await namespace.end();
    await rm(this.#folder, { recursive: true, force: true });
    this.lookAgain();
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
    const changes = new HostChanges(this.#stateDirectory, this.#folder);
    this.#parts ??= {
      able,
      namespace: new Namespace(this.#folder, programs, asUser),
      changes,
      uplinks: new Uplinks({ stateDirectory: this.#stateDirectory, folder: this.#folder, programs, asUser, changes }),
      bridgeUplinks: asUser ? null : new BridgeUplinks(this.#stateDirectory, programs.ip, changes, this.#networkChanged),
      dnsmasqs,
      forwards,
    };
    return this.#parts;
  }

  async #go(): Promise<void> {
    const desired = this.#desired();
    if (desired.networks.length === 0 && !(await this.exists())) return this.#names.tell([]);
    const parts = await this.#made();
    await mkdir(this.#folder, { recursive: true, mode: 0o711 });
    const { signal } = this.#stopping;
    if (await parts.namespace.make(this.#guests(), signal)) this.#standing.none(parts);
    try {
      await this.#standing.bring(desired, parts, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // What is there is not what was known: somebody else has changed it.
      if (String(error) !== this.#said) this.#log(error, 'the networks are looked at again, because a change failed');
      this.#said = String(error);
      this.lookAgain();
      await this.#standing.bring(desired, parts, signal);
    }
  }
}
