// What the kernel has of the networks, as far as it is known, and one reconcile pass over it. What is right already is left alone.
import { VivError } from '../../contract/errors.ts';
import { type RunOptions, runOk, runProgram } from '../../host/process/run.ts';
import { type HostNames, hostNamesOf } from '../address/host-names.ts';
import type { DnsFiles } from '../dns/dnsmasq-config.ts';
import { dnsFilesFor } from '../dns/dnsmasq-config.ts';
import type { AppliedRules } from '../firewall/applied-rules.ts';
import { firewallModel } from '../firewall/desired-rules.ts';
import type { FirewallModel } from '../firewall/model.ts';
import { Shaper } from '../firewall/shaping/shaper.ts';
import { type Desired, hasUplink } from '../model.ts';
import { type ActualState, emptyState, parseActualState } from './actual-state.ts';
import { hostInterfaces } from './host-network.ts';
import { uplinkInNamespace } from './interface-names.ts';
import type { Parts } from './parts.ts';
import { type Action, after, ipCommands, isOfPort, plan, vlanCommands } from './plan.ts';
import type { ProblemChange } from './problem.ts';
import { returnRouteScript } from './return-route.ts';
import type { Uplink } from './uplink.ts';

const deadlineMs = 30_000;
const keepBytes = 256 * 1024 * 1024;
const hostAddressesLastMs = 10_000;
/** Exit codes of `vivarium-net-tap reattach`; not needed: the process has no tap that was removed, because the NIC is being added. */
const reattachExit = { notNeeded: 3, ambiguous: 4 };
/** How often what takes several programs (30 ms each with many networks) is checked. */
const checkCloselyEveryMs = 15_000;

export class KernelState {
  readonly #parts: Parts;
  readonly #rules: AppliedRules;
  readonly #names: HostNames;
  /** Name servers to use in place of the host's. */
  readonly #resolvers: readonly string[] | null;
  readonly #onProblem: (change: ProblemChange) => void;
  readonly #shaper = new Shaper();
  /** Null: it has to be read. */
  #actual: ActualState | null = null;
  #uplink: Uplink | null = null;
  #hasReturnRoute = false;
  /** The host's own addresses, which change with what it is connected to. */
  #hostAddresses: { found: readonly string[]; at: number } | null = null;
  #checkedCloselyAt = 0;

  constructor(
    parts: Parts,
    rules: AppliedRules,
    names: HostNames,
    resolvers: readonly string[] | null,
    onProblem: (change: ProblemChange) => void,
  ) {
    this.#parts = parts;
    this.#rules = rules;
    this.#names = names;
    this.#resolvers = resolvers;
    this.#onProblem = onProblem;
  }

  /** The namespace is new and empty. */
  reset(): void {
    this.invalidate();
    this.#actual = emptyState;
    this.#uplink = null;
  }

  /** Reads everything again at the next pass, in place of trusting what is known. */
  invalidate(): void {
    this.#actual = null;
    this.#rules.forget();
    this.#hasReturnRoute = false;
    this.#hostAddresses = null;
    this.#shaper.forget();
    this.#parts.uplinks.forget();
  }

  /** Whether nothing has been removed or ended by others; what is missing is created again by the next pass. */
  async isIntact(desired: Desired, signal: AbortSignal): Promise<boolean> {
    const { able, namespace, dnsmasqs, uplinks, bridgeUplinks } = this.#parts;
    const closely = Date.now() - this.#checkedCloselyAt > checkCloselyEveryMs;
    if (closely) this.#checkedCloselyAt = Date.now();
    await this.#names.check();
    const uplink = this.#uplink === null ? 'intact' : await uplinks.check(closely);
    if (uplink === 'gone') this.#uplink = null;
    const connected = (await bridgeUplinks?.checkAndReport(desired.networks)) ?? true;
    if (!(await namespace.find())) return false;
    const hasInterfaces = await this.#hasInterfaces(desired, closely, signal);
    if (!connected || !hasInterfaces) this.#actual = null;
    const hasRules = !closely || (await this.#rules.check(able.programs.nft, this.#runner(runProgram, signal)));
    return uplink === 'intact' && connected && hasInterfaces && hasRules && (await dnsmasqs.areAlive());
  }

  /** One pass. @throws what a program says */
  async reconcile(desired: Desired, signal: AbortSignal): Promise<void> {
    const { dnsmasqs, uplinks, relays } = this.#parts;
    // First: whatever fails later, a port that should be closed is closed.
    await relays.close(desired.forwards);
    await this.#detachUnusedUplinks(desired);
    await this.#read(desired, signal);
    await this.#ensureUplink(desired, signal);
    const actions = await this.#attachBridgeUplinks(desired, signal);
    const model = await this.#firewall(desired);
    const files = this.#dnsFiles(desired, model);
    await all(this.#createBridges(model, actions, signal), dnsmasqs.prepare(files));
    // A dnsmasq that starts looks at every interface, so taps are created after it: at the same time would take three times as long.
    await all(
      dnsmasqs.apply(files, this.#parts.namespace.enter(), signal),
      uplinks.applyHostRules(desired.networks, signal),
      this.#names.publish(hostNamesOf(desired)),
    );
    await this.#createTaps(actions, signal);
    await this.#reattachTaps(desired, actions, signal);
    await this.#shaper.apply(model, this.#parts.able.programs, this.#runner(runProgram, signal));
    await this.#openForwards(desired, signal);
  }

  async #detachUnusedUplinks({ networks }: Desired): Promise<void> {
    const { bridgeUplinks } = this.#parts;
    // Ports of bridges may be gone with what they led to.
    if ((await bridgeUplinks?.detachUnused(networks)) || (await bridgeUplinks?.check(networks)) === false) this.#actual = null;
  }

  async #read(desired: Desired, signal: AbortSignal): Promise<void> {
    const { programs, vlans } = this.#parts.able;
    const taps = new Set(desired.ports.map(({ tap }) => tap));
    // A tap that was in use when it was read may be free by now.
    const isStale = this.#actual?.taps.entries().some(([tap, { inUse }]) => inUse && !taps.has(tap)) ?? true;
    if (!isStale) return;
    const run = this.#runner(runOk, signal);
    this.#actual = parseActualState(
      await run(programs.ip, ['-details', '-json', 'address', 'show'], ''),
      vlans ? await run(programs.bridge, ['-json', 'vlan', 'show'], '') : '[]',
    );
  }

  async #ensureUplink({ networks }: Desired, signal: AbortSignal): Promise<void> {
    const { namespace, uplinks } = this.#parts;
    if (this.#uplink !== null || !networks.some(hasUplink)) return;
    const actual = this.#actual ?? emptyState;
    this.#uplink = await uplinks.ensure(namespace.enter(), namespace.holder?.pid ?? 0, actual.others, signal);
    this.#actual = { ...actual, others: new Map([...actual.others, [uplinkInNamespace, null]]) };
  }

  /** @returns what is left to do; a network that cannot be connected to its interface does not keep the others from being served */
  async #attachBridgeUplinks(desired: Desired, signal: AbortSignal): Promise<Action[]> {
    const { able, bridgeUplinks, namespace } = this.#parts;
    const actual = this.#actual ?? emptyState;
    for (const { name, kind } of desired.networks)
      if (kind === 'bridged' && able.asUser)
        throw new VivError('unsupported', `the network ${name} cannot be connected to an interface of the host, which takes root`);
    const actions = plan(desired, actual);
    const failed = new Set<string>();
    for (const action of actions) {
      if (action.do !== 'connect uplink' || actual.others.has(action.port)) continue;
      const network = desired.networks.find(({ bridge }) => bridge === action.bridge);
      if (network && !(await bridgeUplinks?.attach(network, namespace.holder?.pid ?? 0, signal))) failed.add(action.port);
    }
    return actions.filter((action) => !('port' in action && failed.has(action.port)));
  }

  async #firewall(desired: Desired): Promise<FirewallModel> {
    const { tracking, asUser } = this.#parts.able;
    const outward = desired.networks.some(hasUplink);
    return firewallModel(desired, { tracking, outward, relayed: asUser, hostAddresses: outward ? await this.#addressesOfHost() : [] });
  }

  async #addressesOfHost(): Promise<readonly string[]> {
    if (this.#hostAddresses === null || Date.now() - this.#hostAddresses.at > hostAddressesLastMs) {
      const interfaces = await hostInterfaces(this.#parts.able.programs.ip);
      this.#hostAddresses = { found: interfaces.flatMap(({ addresses }) => addresses), at: Date.now() };
    }
    return this.#hostAddresses.found;
  }

  #dnsFiles(desired: Desired, model: FirewallModel): ReadonlyMap<string, DnsFiles> {
    const { able, dnsmasqs } = this.#parts;
    const servers = this.#resolvers ?? this.#uplink?.servers ?? [];
    return dnsFilesFor(desired, model, { folderOf: (network) => dnsmasqs.folderOf(network), servers, user: able.nobody });
  }

  /** Rules exist before the interfaces that they are about. */
  async #createBridges(model: FirewallModel, actions: readonly Action[], signal: AbortSignal): Promise<void> {
    await this.#rules.apply(model, this.#parts.able.programs.nft, this.#runner(runProgram, signal));
    await this.#change(
      actions.filter((action) => !isOfPort(action)),
      signal,
    );
  }

  async #createTaps(actions: readonly Action[], signal: AbortSignal): Promise<void> {
    const { bridge } = this.#parts.able.programs;
    await this.#change(
      actions.filter(({ do: what }) => what === 'create tap' || what === 'repair tap'),
      signal,
    );
    const vlans = vlanCommands(actions);
    if (vlans.length > 0) await this.#runner(runOk, signal)(bridge, ['-batch', '-'], `${vlans.join('\n')}\n`);
    await this.#change(
      actions.filter(({ do: what }) => what === 'set vlans' || what === 'set tap up'),
      signal,
    );
  }

  /** A tap that is created although a process should have it open was removed by somebody else. */
  async #reattachTaps({ ports }: Desired, actions: readonly Action[], signal: AbortSignal): Promise<void> {
    const created = new Set(actions.flatMap((action) => (action.do === 'create tap' ? [action.tap] : [])));
    const run = this.#runner(runProgram, signal);
    for (const { tap, pid } of ports) {
      if (pid === null || !created.has(tap)) continue;
      const { exitCode, stderr } = await run(this.#parts.able.programs.tap, ['reattach', String(pid), tap], '');
      if (exitCode === reattachExit.notNeeded) continue;
      const problem = exitCode === reattachExit.ambiguous ? 'it has lost several' : stderr.trim().slice(-300);
      this.#onProblem({ of: 'tap', name: tap, problem: exitCode === 0 ? null : problem });
    }
  }

  async #change(actions: readonly Action[], signal: AbortSignal): Promise<void> {
    const commands = ipCommands(actions);
    if (commands.length > 0) await this.#runner(runOk, signal)(this.#parts.able.programs.ip, ['-batch', '-'], `${commands.join('\n')}\n`);
    this.#actual = after(this.#actual ?? emptyState, actions);
  }

  async #openForwards({ forwards }: Desired, signal: AbortSignal): Promise<void> {
    const { able, namespace, relays } = this.#parts;
    if (forwards.length > 0 && !this.#hasReturnRoute) {
      await this.#runner(runOk, signal)('/bin/sh', ['-c', returnRouteScript, 'sh', able.programs.ip], '');
      this.#hasReturnRoute = true;
    }
    await relays.apply(forwards, { holder: namespace.holder?.pid ?? 0, has: (pid) => namespace.has(pid) }, signal);
  }

  /** Whether every bridge and tap is there; `closely`: as well with the addresses, VLANs and bridge that it should have. */
  async #hasInterfaces(desired: Desired, closely: boolean, signal: AbortSignal): Promise<boolean> {
    const { programs, vlans } = this.#parts.able;
    const names = await this.#parts.namespace.interfaces();
    const taps = desired.ports.flatMap(({ attached, tap }) => (attached ? [tap] : []));
    if ([...taps, ...desired.networks.map(({ bridge }) => bridge)].some((name) => !names.has(name))) return false;
    if (!closely) return true;
    const run = this.#runner(runOk, signal);
    const actual = parseActualState(
      await run(programs.ip, ['-details', '-json', 'address', 'show'], ''),
      vlans ? await run(programs.bridge, ['-json', 'vlan', 'show'], '') : '[]',
    );
    return plan(desired, actual).every(({ do: what }) => what === 'connect uplink' || what === 'set vlans');
  }

  /** Runs programs in the networks' namespace. */
  #runner<T>(
    run: (program: string, args: readonly string[], options: RunOptions) => Promise<T>,
    signal: AbortSignal,
  ): (program: string, args: readonly string[], input: string) => Promise<T> {
    return (program, args, input) => {
      const [first = '', ...rest] = [...this.#parts.namespace.enter(), program, ...args];
      return run(first, rest, { timeoutMs: deadlineMs, input, signal, keepBytes });
    };
  }
}

/** Side by side; all of them have ended when it throws. */
async function all(...works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
