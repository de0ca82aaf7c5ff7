// Reconciles the kernel and the networks' programs with the desired state, one pass at a time. Calls that wait are answered by the next pass together,
// so that a hundred VMs that start at once cost a few passes.
//
//            apply()                    a pass ends
//   idle ─────────────▶ pass running ─────────────────▶ idle
//                         │      ▲
//            apply() ─────┘      └───── pass queued: it sees what is desired when it starts
//
//   A pass that fails reads everything again and is tried once more; if that fails as well, apply() throws and the reconciler is *behind*:
//   check(), which the monitor calls every few seconds, starts another pass. It also does so when something is missing from the kernel.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { makeFolder } from '../../host/file/folder.ts';
import { isUsable } from '../../host/file/usable.ts';
import { ProgramFailed, runOk } from '../../host/process/run.ts';
import { isAddress } from '../address/address.ts';
import { HostNames } from '../address/host-names.ts';
import { type Able, type Capability, findCapability } from '../capability.ts';
import { AppliedRules } from '../firewall/applied-rules.ts';
import type { PortCounters } from '../firewall/counters.ts';
import { assertNamesCanBePinned } from '../firewall/egress.ts';
import { TrafficMonitor } from '../flow/monitor.ts';
import { endFlowRecorder } from '../flow/recorder.ts';
import type { Desired } from '../model.ts';
import { inUseTaps } from './actual-state.ts';
import { type TapOwner, tapOwner } from './interface-names.ts';
import { KernelState } from './kernel-state.ts';
import { openParts, type Parts } from './parts.ts';
import type { ProblemChange } from './problem.ts';

const deadlineMs = 30_000;
/** A missing package may have been installed. */
const findCapabilityEveryMs = 30_000;

interface Options {
  readonly stateDirectory: string;
  /** For run files. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: (problem: unknown, message: string) => void;
  readonly desired: () => Desired;
  readonly onProblem: (change: ProblemChange) => void;
  /** The file in which the names of VMs are published on the host; null: they are not. */
  readonly hostNames: string | null;
}

export class NetworkReconciler {
  readonly #options: Options;
  readonly #rules: AppliedRules;
  readonly #names: HostNames;
  #capability: { found: Promise<Capability>; at: number } | null = null;
  #parts: Parts | null = null;
  #kernel: KernelState | null = null;
  /** Passes and checks, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  /** The pass that waits. */
  #queued: Promise<void> | null = null;
  /** The last pass failed. */
  #isBehind = false;
  /** The last failure that was logged, as text. */
  #logged = '';
  readonly #stopping = new AbortController();

  constructor(options: Options) {
    this.#options = options;
    this.#rules = new AppliedRules(join(options.folder, 'rules.json'));
    this.#names = new HostNames(options.hostNames, options.stateDirectory);
  }

  capability(): Promise<Capability> {
    if (this.#capability !== null && Date.now() - this.#capability.at <= findCapabilityEveryMs) return this.#capability.found;
    const search = { found: findCapability(this.#options.env), at: Date.now() };
    void search.found.then(
      (found) => {
        if (found.ok) search.at = Number.POSITIVE_INFINITY;
      },
      () => {
        this.#capability = null;
      },
    );
    this.#capability = search;
    return search.found;
  }

  /** A process in the namespace; null: there is no namespace. */
  get namespacePid(): number | null {
    return this.#parts?.namespace.holder?.pid ?? null;
  }

  /** @throws missing_program, unsupported where the host cannot have networks */
  async able(): Promise<Able> {
    const found = await this.capability();
    if (found.ok) return found;
    throw new VivError(found.code, `networks are not available on this host: ${found.why}. To start VMs without them, use --network user`);
  }

  /** Why a network that is in use does not work. */
  problemOf(network: string): VivError | undefined {
    const parts = this.#parts;
    return parts?.bridgeUplinks?.problemOf(network) ?? parts?.uplinks.conflictOf(network) ?? parts?.dnsmasqs.problemOf(network);
  }

  /** Why the host does not resolve the names of VMs; null: it does, or is not meant to. */
  get namesProblem(): string | null {
    return this.#names.problem;
  }

  /** Resolves when what was desired at the call is there. @throws what a program says */
  apply(): Promise<void> {
    this.#queued ??= this.#inTurn(async () => {
      this.#queued = null;
      this.#isBehind = true;
      await this.#pass();
      this.#isBehind = false;
      this.#logged = '';
    });
    return this.#queued;
  }

  /** Checks what serves the networks (namespace, interfaces, rules, DHCP and DNS, uplink, host's part), and repairs what is missing. */
  async check(): Promise<void> {
    const isIntact = await this.#inTurn(async () => {
      const intact = (await this.#kernel?.isIntact(this.#options.desired(), this.#stopping.signal)) ?? true;
      return intact && !this.#isBehind;
    });
    if (!isIntact) await this.apply();
  }

  /** Trusts nothing that is known, from the next pass on. */
  invalidate(): void {
    this.#kernel?.invalidate();
  }

  /** The words before a program's own that run it in the namespace. After apply(). */
  async inside(): Promise<string[]> {
    const { namespace } = await this.#open();
    if (!(await namespace.find())) throw new VivError('unavailable', 'no network is in use on this host now');
    return namespace.enter();
  }

  /** Whether the namespace exists, made by this daemon or an earlier one. */
  async exists(): Promise<boolean> {
    // A cheap test first: most daemons of tests and of user-mode networks never make one.
    if (!(await isUsable(join(this.#options.folder, 'hold')))) return false;
    const found = await this.capability();
    return found.ok && (await (await this.#open()).namespace.find());
  }

  /** The taps that a process has open. */
  async tapsInUse(): Promise<TapOwner[]> {
    if (!(await this.exists())) return [];
    const { able, namespace } = await this.#open();
    const [first = '', ...rest] = [...namespace.enter(), able.programs.ip, '-json', 'link', 'show'];
    return inUseTaps(await runOk(first, rest, { timeoutMs: deadlineMs, keepBytes: 256 * 1024 * 1024 })).flatMap(
      (name) => tapOwner(name) ?? [],
    );
  }

  /** State of a port forward to a running VM; null: not known yet. */
  async forward(name: string): Promise<'open' | { problem: string } | null> {
    const relays = this.#parts?.relays;
    if (!relays) return null;
    const problem = relays.problemOf(name);
    if (problem !== null) return { problem };
    return (await relays.isOpen(name)) ? 'open' : null;
  }

  /** What passes the networks; null: none is in use. */
  async monitor(): Promise<TrafficMonitor | null> {
    if (!(await this.exists())) return null;
    const { able, namespace } = await this.#open();
    const { env, folder } = this.#options;
    return new TrafficMonitor({ enter: namespace.enter(), has: (pid) => namespace.has(pid), programs: able.programs, env, folder });
  }

  /** What was dropped at each tap since the rules were loaded. */
  async dropped(): Promise<ReadonlyMap<string, PortCounters>> {
    const [rules, monitor] = [await this.#rules.last(), await this.monitor()];
    if (!rules || !monitor) return new Map();
    return monitor.dropped(rules).catch((error: unknown) => {
      if (error instanceof ProgramFailed) return new Map(); // there are no rules yet
      throw error;
    });
  }

  /** @throws unsupported where dnsmasq cannot pass the addresses of names to the firewall */
  async checkEgressByName(): Promise<void> {
    const { programs } = await this.able();
    assertNamesCanBePinned(await runOk(programs.dnsmasq, ['--version'], { timeoutMs: deadlineMs }));
  }

  /** Removes everything, when no VM uses a network. Repeatable. */
  async end(): Promise<void> {
    await this.#inTurn(() => this.#removeAll());
  }

  stop(): void {
    this.#parts?.relays.stop();
    this.#stopping.abort(new VivError('unavailable', 'the daemon is stopping'));
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#last.then(act);
    this.#last = acting.catch(() => {});
    return acting;
  }

  async #pass(): Promise<void> {
    const { desired, folder, log } = this.#options;
    const { signal } = this.#stopping;
    const goal = desired();
    if (goal.networks.length === 0 && !(await this.exists())) return this.#names.publish([]);
    const { namespace } = await this.#open();
    const kernel = this.#kernel as KernelState;
    await makeFolder(folder, 0o711);
    if (await namespace.ensure(signal)) kernel.reset();
    try {
      await kernel.reconcile(goal, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (String(error) !== this.#logged) log(error, 'the state of the networks is read again, because a change failed');
      this.#logged = String(error);
      kernel.invalidate();
      await kernel.reconcile(goal, signal);
    }
  }

  async #removeAll(): Promise<void> {
    const { folder, log } = this.#options;
    await this.#names.publish([]);
    if (this.#names.problem !== null) log(null, this.#names.problem);
    // Parts of it may be left although the namespace is gone.
    if (!(await isUsable(folder)) || !(await this.capability()).ok) return;
    const { namespace, uplinks, bridgeUplinks, changes, dnsmasqs, relays } = await this.#open();
    await relays.end();
    await endFlowRecorder(folder);
    await dnsmasqs.end();
    await bridgeUplinks?.end();
    await uplinks.end();
    await changes.drop();
    await namespace.end();
    await rm(folder, { recursive: true, force: true });
    this.invalidate();
    this.#isBehind = false;
  }

  async #open(): Promise<Parts> {
    if (this.#parts) return this.#parts;
    const { log, onProblem, env } = this.#options;
    const parts = await openParts(
      await this.able(),
      this.#options,
      (name, problem) => onProblem({ of: 'forward', name, problem }),
      (name, problem) => onProblem({ of: 'network', name, problem }),
      () => this.apply().catch((error: unknown) => log(error, 'the networks could not be reconciled')),
    );
    if (this.#parts) return this.#parts;
    const resolvers = env['VIV_RESOLVERS']?.split(/[\s,]+/).filter(isAddress) ?? null;
    this.#kernel = new KernelState(parts, this.#rules, this.#names, resolvers, onProblem);
    this.#parts = parts;
    return parts;
  }
}
