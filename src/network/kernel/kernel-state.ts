// What the kernel has of this host's virtual networks, as far as it is known, and how it is brought to what is wanted. What is right is left alone.
import { VivError } from '../../contract/errors.ts';
import { type RunOptions, runOk, runProgram } from '../../host/run.ts';
import { isAddress } from '../address/address.ts';
import { type HostNames, hostNamesOf } from '../address/host-names.ts';
import type { Able } from '../capability.ts';
import type { Dnsmasqs } from '../dns/dnsmasq.ts';
import { dnsFilesFor } from '../dns/dnsmasq-config.ts';
import type { RulesHere } from '../firewall/applied-rules.ts';
import { firewallOf } from '../firewall/desired-rules.ts';
import type { Forwards } from '../forward/relays.ts';
import { type Desired, leadsOut } from '../model.ts';
import { nothing, type Present, presentFrom } from './actual-state.ts';
import type { BridgeUplinks } from './bridge-uplinks.ts';
import type { HostChanges } from './host-changes.ts';
import { hostInterfaces } from './host-network.ts';
import { uplinkInside } from './interface-names.ts';
import type { Namespace } from './namespace.ts';
import { type Action, after, ipCommands, plan, vlanCommands } from './plan.ts';
import { answerWay } from './return-route.ts';
import { Shaping } from './shaping.ts';
import type { Uplink, Uplinks } from './uplink.ts';

const deadlineMs = 30_000;
const addressesLastMs = 10_000;
/** To look closely takes several programs, of many networks 30 ms each. */
const askAgainMs = 15_000;

export interface Parts {
  readonly able: Able;
  readonly namespace: Namespace;
  readonly changes: HostChanges;
  readonly uplinks: Uplinks;
  /** Null: an ordinary user has none. */
  readonly bridgeUplinks: BridgeUplinks | null;
  readonly dnsmasqs: Dnsmasqs;
  readonly forwards: Forwards;
}

export class KernelState {
  readonly #env: NodeJS.ProcessEnv;
  readonly #rules: RulesHere;
  readonly #names: HostNames;
  readonly #shaping = new Shaping();
  #present: Present | null = null;
  #uplink: Uplink | null = null;
  /** Answers to relays find back (return-route.ts). */
  #answered = false;
  /** The host's own, which may change with what it is plugged into. */
  #hostAddresses: { found: readonly string[]; at: number } | null = null;
  /** When it was looked at closely last. */
  #closelyMs = 0;

  constructor(env: NodeJS.ProcessEnv, rules: RulesHere, names: HostNames) {
    this.#env = env;
    this.#rules = rules;
    this.#names = names;
  }

  /** The namespace is new, and has nothing. */
  none(parts: Parts): void {
    this.lookAgain(parts);
    this.#present = nothing;
    this.#uplink = null;
  }

  /** Looks again at what is there, instead of trusting what is known. */
  lookAgain(parts: Parts | null): void {
    this.#present = null;
    this.#rules.forget();
    this.#answered = false;
    this.#hostAddresses = null;
    this.#shaping.forget();
    parts?.uplinks.forget();
  }

  /** Whether nobody has taken anything of it away; what is gone is given again by the next bring(). */
  async whole(desired: Desired, parts: Parts, signal: AbortSignal): Promise<boolean> {
    const { namespace, dnsmasqs, uplinks, bridgeUplinks } = parts;
    await this.#names.look();
    const closely = Date.now() - this.#closelyMs > askAgainMs;
    if (closely) this.#closelyMs = Date.now();
    const wayOut = this.#uplink === null ? 'whole' : await uplinks.look(closely);
    if (wayOut === 'gone') this.#uplink = null;
    const joined = (await bridgeUplinks?.look(desired.networks)) ?? true;
    if (!joined) this.#present = null;
    if (!(await namespace.find())) return false;
    const guarded = !closely || (await this.#rules.look(parts.able.programs.nft, runner(runProgram, parts, signal)));
    return wayOut === 'whole' && joined && guarded && (await dnsmasqs.alive());
  }

  async #addresses(ip: string): Promise<readonly string[]> {
    if (this.#hostAddresses === null || Date.now() - this.#hostAddresses.at > addressesLastMs)
      this.#hostAddresses = { found: (await hostInterfaces(ip)).flatMap(({ addresses }) => addresses), at: Date.now() };
    return this.#hostAddresses.found;
  }

  /** @throws what programs say */
  async bring(desired: Desired, parts: Parts, signal: AbortSignal): Promise<void> {
    const { able, namespace, uplinks, bridgeUplinks, dnsmasqs, forwards } = parts;
    const { programs } = able;
    const enter = namespace.enter();
    const [run, tryRun] = [runner(runOk, parts, signal), runner(runProgram, parts, signal)];
    const holder = namespace.holder?.pid ?? 0;
    // Whatever fails later, what is not wanted any more is not open.
    await forwards.close(desired.forwards);
    // Ports of bridges may be gone with what they led to.
    if ((await bridgeUplinks?.part(desired.networks)) || (await bridgeUplinks?.check(desired.networks)) === false) this.#present = null;
    this.#present ??= presentFrom(
      await run(programs.ip, ['-details', '-json', 'address', 'show'], ''),
      able.vlans ? await run(programs.bridge, ['-json', 'vlan', 'show'], '') : '[]',
    );
    const outward = desired.networks.some(leadsOut);
    if (outward && this.#uplink === null) {
      this.#uplink = await uplinks.make(enter, holder, this.#present.others, signal);
      this.#present = { ...this.#present, others: new Map([...this.#present.others, [uplinkInside, null]]) };
    }
    for (const network of desired.networks)
      if (network.kind === 'bridged' && able.asUser)
        throw new VivError('unsupported', `the network ${network.name} is bridged to an interface of the host, which takes root`);
    const planned = plan(desired, this.#present);
    const apart = new Set<string>();
    for (const action of planned)
      if (action.do === 'join' && !this.#present.others.has(action.port)) {
        const network = desired.networks.find(({ bridge }) => bridge === action.bridge);
        if (network && !(await bridgeUplinks?.join(network, holder, signal))) apart.add(action.port);
      }
    // Whoever cannot be joined to the host's interface keeps nobody else from being served.
    const actions = planned.filter((action) => !('port' in action && apart.has(action.port)));
    const model = firewallOf(desired, {
      tracking: able.tracking,
      relayed: able.asUser,
      outward,
      hostAddresses: outward ? await this.#addresses(programs.ip) : [],
    });
    const servers = this.#env['VIV_RESOLVERS']?.split(/[\s,]+/).filter(isAddress) ?? this.#uplink?.servers ?? [];
    const files = dnsFilesFor(desired, model, { folderOf: (network) => dnsmasqs.folderOf(network), servers, user: able.nobody });
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
    // A dnsmasq that starts looks at every interface, so those of the VMs come after it, and not at the same time: that takes three times as long.
    await all(dnsmasqs.apply(files, enter, signal), uplinks.serve(desired.networks, signal), this.#names.tell(hostNamesOf(desired)));
    await change(actions.filter(({ do: what }) => what === 'make tap' || what === 'mend tap'));
    const vlans = vlanCommands(actions);
    if (vlans.length > 0) await run(programs.bridge, ['-batch', '-'], `${vlans.join('\n')}\n`);
    await change(actions.filter(({ do: what }) => what === 'set vlans' || what === 'raise tap'));
    await this.#shaping.apply(model, programs, tryRun);
    if (desired.forwards.length > 0 && !this.#answered) {
      await run('/bin/sh', ['-c', answerWay, 'sh', programs.ip], '');
      this.#answered = true;
    }
    await forwards.apply(desired.forwards, { holder, has: (pid) => namespace.has(pid) }, signal);
  }
}

/** Side by side; none is at work any more when it throws. */
async function all(...works: readonly (Promise<void> | null)[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Runs programs where the networks are. */
function runner<T>(
  by: (program: string, args: readonly string[], options: RunOptions) => Promise<T>,
  { namespace }: Parts,
  signal: AbortSignal,
): (program: string, args: readonly string[], input: string) => Promise<T> {
  return (program, args, input) => {
    const [first = '', ...rest] = [...namespace.enter(), program, ...args];
    return by(first, rest, { timeoutMs: deadlineMs, input, signal, keepBytes: 256 * 1024 * 1024 });
  };
}

const ofPort = ({ do: what }: Action): boolean => ['make tap', 'mend tap', 'set vlans', 'raise tap'].includes(what);
