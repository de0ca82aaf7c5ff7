// Connects bridged networks to interfaces of the host: by a veth pair whose host end is a port of the host's bridge or, where the interface is not a
// bridge, of one that is created around it. The interface may vanish while VMs run, and come back.
import { VivError } from '../../contract/errors.ts';
import { ProgramFailed, runProgram } from '../../host/process/run.ts';
import type { NetworkSpec } from '../model.ts';
import { bridgeObstacle } from './bridgeable.ts';
import type { HostChanges } from './host-changes.ts';
import { type HostInterface, hostInterfaces, runBatch } from './host-network.ts';
import { bridgeUplinkInNamespace, bridgeUplinkOnHost, hostBridge } from './interface-names.ts';

const deadlineMs = 60_000;

export class BridgeUplinks {
  readonly #stateDirectory: string;
  readonly #ip: string;
  readonly #changes: HostChanges;
  readonly #onProblem: (network: string, problem: string | null) => void;
  readonly #problems = new Map<string, VivError>();
  /** Problems that were reported, by network. */
  readonly #reported = new Map<string, string>();

  /** @param onProblem a network that is in use has another problem, or (null) none any more */
  constructor(stateDirectory: string, ip: string, changes: HostChanges, onProblem: (network: string, problem: string | null) => void) {
    this.#stateDirectory = stateDirectory;
    this.#ip = ip;
    this.#changes = changes;
    this.#onProblem = onProblem;
  }

  /** Why a network is not connected to its interface. */
  problemOf(network: string): VivError | undefined {
    return this.#problems.get(network);
  }

  /** Disconnects the interfaces that no network needs. Returns whether there were any. Repeatable. */
  async detachUnused(networks: readonly NetworkSpec[]): Promise<boolean> {
    for (const map of [this.#problems, this.#reported])
      for (const name of map.keys()) if (!networks.some((one) => one.name === name)) map.delete(name);
    const made = await this.#changes.read();
    if (made === null) return false;
    const needed = ({ network, interface: target }: (typeof made.bridgeUplinks)[number]) =>
      networks.some((one) => one.name === network && one.kind === 'bridged' && one.interface === target);
    if (made.bridgeUplinks.every(needed)) return false;
    for (const { network } of made.bridgeUplinks.filter((bridgeUplink) => !needed(bridgeUplink))) await this.#detach(network);
    await this.#changes.write({ ...made, bridgeUplinks: made.bridgeUplinks.filter(needed) });
    return true;
  }

  /**
   * Connects a network to its interface; the namespace's end has then to become a port of the network's bridge. Returns false where that fails, with
   * the reason in problemOf(). Repeatable.
   * @param holder pid of a process in the namespace
   */
  async attach(network: NetworkSpec, holder: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#attach(network, holder, signal);
      this.#problems.delete(network.name);
      return true;
    } catch (error) {
      if (!(error instanceof VivError) || signal.aborted) throw error;
      this.#problems.set(network.name, error);
      return false;
    }
  }

  /** As check(); reports problems that are new or gone. */
  async checkAndReport(networks: readonly NetworkSpec[]): Promise<boolean> {
    const connected = await this.check(networks);
    for (const { name, kind } of networks) if (kind === 'bridged') this.#report(name);
    return connected;
  }

  /**
   * Whether every network is connected that can be; problemOf() has the reason for the others. Where an interface has come back, the rest of the old
   * pair is removed, and the result is false: attach() has to be called.
   */
  async check(networks: readonly NetworkSpec[]): Promise<boolean> {
    const bridged = networks.filter(({ kind }) => kind === 'bridged');
    if (bridged.length === 0) return true;
    const interfaces = await hostInterfaces(this.#ip);
    let isComplete = true;
    for (const network of bridged) {
      const { name } = network;
      const attached = this.#isAttached(network, interfaces);
      const obstacle = attached ? null : this.#obstacle(network, interfaces);
      if (attached) this.#problems.delete(name);
      else if (obstacle !== null) this.#problems.set(name, obstacle);
      else {
        if (interfaces.some((one) => one.name === bridgeUplinkOnHost(this.#stateDirectory, name)))
          await this.#delete(bridgeUplinkOnHost(this.#stateDirectory, name));
        isComplete = false;
      }
    }
    return isComplete;
  }

  /** Disconnects everything. Repeatable. */
  async end(): Promise<void> {
    for (const { network } of (await this.#changes.read())?.bridgeUplinks ?? []) await this.#detach(network);
    this.#problems.clear();
    this.#reported.clear();
  }

  #report(network: string): void {
    const problem = this.#problems.get(network)?.message ?? null;
    if (problem === (this.#reported.get(network) ?? null)) return;
    if (problem === null) this.#reported.delete(network);
    else this.#reported.set(network, problem);
    this.#onProblem(network, problem);
  }

  #isAttached({ name, interface: target }: NetworkSpec, interfaces: readonly HostInterface[]): boolean {
    const found = interfaces.find((one) => one.name === target);
    const outside = interfaces.find((one) => one.name === bridgeUplinkOnHost(this.#stateDirectory, name));
    const around = hostBridge(this.#stateDirectory, name);
    if (!found || !outside?.isUp) return false;
    if (found.isBridge) return outside.master === target;
    const isAroundUp = interfaces.some((one) => one.name === around && one.isUp);
    return found.master === around && outside.master === around && found.isUp && isAroundUp;
  }

  /** Why it cannot be connected; null: it can. */
  #obstacle({ name, interface: target }: NetworkSpec, interfaces: readonly HostInterface[]): VivError | null {
    const found = interfaces.find((one) => one.name === target);
    if (!found) return new VivError('unsupported', `the network ${name} is bridged to ${target}, which this host does not have now`);
    const around = hostBridge(this.#stateDirectory, name);
    const isMade = interfaces.some((one) => one.name === bridgeUplinkOnHost(this.#stateDirectory, name) && one.master === around);
    // It was set up when it was connected, so somebody has set it down.
    if (found.master === around && isMade && !found.isUp)
      return new VivError(
        'unsupported',
        `the network ${name} is bridged to ${target}, which is down. Set it up with: ip link set ${target} up`,
      );
    if (found.master === around) return null;
    // It may have got an address, which would be lost.
    return bridgeObstacle(interfaces, found.name);
  }

  async #attach(network: NetworkSpec, holder: number, signal: AbortSignal): Promise<void> {
    const { name, interface: target } = network;
    const interfaces = await hostInterfaces(this.#ip);
    const obstacle = this.#obstacle(network, interfaces);
    if (obstacle !== null) throw obstacle;
    const outside = bridgeUplinkOnHost(this.#stateDirectory, name);
    const around = hostBridge(this.#stateDirectory, name);
    const made = await this.#changes.readOrCreate(this.#ip);
    const bridgeUplink = { network: name, interface: target ?? '' };
    await this.#changes.write({ ...made, bridgeUplinks: [...made.bridgeUplinks.filter((other) => other.network !== name), bridgeUplink] });
    const there = (device: string) => interfaces.some((one) => one.name === device);
    const isBridge = interfaces.some((one) => one.name === target && one.isBridge);
    const commands = [
      ...(there(outside) ? [`link del dev ${outside}`] : []),
      ...(isBridge || there(around) ? [] : [`link add name ${around} type bridge forward_delay 0 stp_state 0`]),
      ...(isBridge ? [] : [`link set dev ${around} addrgenmode none up`, `link set dev ${target} master ${around} up`]),
      `link add name ${outside} type veth peer name ${bridgeUplinkInNamespace(name)} netns ${holder}`,
      `link set dev ${outside} master ${isBridge ? target : around} addrgenmode none up`,
    ];
    try {
      await runBatch([this.#ip], commands, signal);
    } catch (error) {
      await this.#detach(name);
      if (!(error instanceof ProgramFailed)) throw error;
      const why = error.result.stderr.trim().split('\n')[0] ?? '';
      throw new VivError('unsupported', `the network ${name} cannot be connected to ${target}: ${why}`, { cause: error });
    }
  }

  async #detach(network: string): Promise<void> {
    for (const name of [bridgeUplinkOnHost(this.#stateDirectory, network), hostBridge(this.#stateDirectory, network)])
      await this.#delete(name);
  }

  async #delete(device: string): Promise<void> {
    await runProgram(this.#ip, ['link', 'del', 'dev', device], { timeoutMs: deadlineMs });
  }
}
