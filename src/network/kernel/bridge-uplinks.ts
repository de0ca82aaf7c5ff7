// What joins a bridged network to an interface of the host: a pair of interfaces, whose far end is a port of the host's bridge or, where the
// interface is no bridge, of one that is made around it. An interface may go while VMs run, and come back.
import { VivError } from '../../contract/errors.ts';
import { ProgramFailed, runProgram } from '../../host/run.ts';
import type { NetworkSpec } from '../model.ts';
import { bridgeObstacle } from './bridgeable.ts';
import type { HostChanges } from './host-changes.ts';
import { type HostInterface, hostInterfaces, runBatch } from './host-network.ts';
import { bridgeUplinkInside, bridgeUplinkOutside, hostBridge } from './interface-names.ts';

const deadlineMs = 60_000;

export class BridgeUplinks {
  readonly #stateDirectory: string;
  readonly #ip: string;
  readonly #changes: HostChanges;
  readonly #changed: (network: string, problem: string | null) => void;
  readonly #problems = new Map<string, VivError>();
  /** Problems that were told, by network. */
  readonly #told = new Map<string, string>();

  /** @param changed a network that VMs run in has another problem now, or none any more */
  constructor(stateDirectory: string, ip: string, changes: HostChanges, changed: (network: string, problem: string | null) => void) {
    this.#stateDirectory = stateDirectory;
    this.#ip = ip;
    this.#changes = changes;
    this.#changed = changed;
  }

  /** Why a network is not joined to its interface. */
  problemOf(network: string): VivError | undefined {
    return this.#problems.get(network);
  }

  /** Gives interfaces of the host back that no network needs any more. Tells whether there were any. Repeatable. */
  async part(networks: readonly NetworkSpec[]): Promise<boolean> {
    for (const map of [this.#problems, this.#told])
      for (const name of map.keys()) if (!networks.some((one) => one.name === name)) map.delete(name);
    const made = await this.#changes.read();
    if (made === null) return false;
    const needed = ({ network, interface: target }: (typeof made.bridgeUplinks)[number]) =>
      networks.some((one) => one.name === network && one.kind === 'bridged' && one.interface === target);
    if (made.bridgeUplinks.every(needed)) return false;
    for (const { network } of made.bridgeUplinks.filter((bridgeUplink) => !needed(bridgeUplink))) await this.#unjoin(network);
    await this.#changes.write({ ...made, bridgeUplinks: made.bridgeUplinks.filter(needed) });
    return true;
  }

  /**
   * Joins a network to its interface: the near end is then to be made a port of the network's bridge. False: it could not be, and problemOf()
   * says why. Repeatable. @param holder pid of a process in the namespace
   */
  async join(network: NetworkSpec, holder: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#join(network, holder, signal);
      this.#problems.delete(network.name);
      return true;
    } catch (error) {
      if (!(error instanceof VivError) || signal.aborted) throw error;
      this.#problems.set(network.name, error);
      return false;
    }
  }

  /** As check(), and tells what is the matter, or no longer is. */
  async look(networks: readonly NetworkSpec[]): Promise<boolean> {
    const whole = await this.check(networks);
    for (const { name, kind } of networks) if (kind === 'bridged') this.#tell(name);
    return whole;
  }

  /**
   * Whether each network is joined, as far as it can be: problemOf() says what is the matter. Where an interface has come back, what is left of the
   * pair is removed, so that it is joined anew, and the answer is false.
   */
  async check(networks: readonly NetworkSpec[]): Promise<boolean> {
    const bridged = networks.filter(({ kind }) => kind === 'bridged');
    if (bridged.length === 0) return true;
    const interfaces = await hostInterfaces(this.#ip);
    let whole = true;
    for (const network of bridged) {
      const { name } = network;
      const joined = this.#isJoined(network, interfaces);
      const obstacle = joined ? null : this.#obstacle(network, interfaces);
      if (joined) this.#problems.delete(name);
      else if (obstacle !== null) this.#problems.set(name, obstacle);
      else {
        if (interfaces.some((one) => one.name === bridgeUplinkOutside(this.#stateDirectory, name)))
          await this.#delete(bridgeUplinkOutside(this.#stateDirectory, name));
        whole = false;
      }
    }
    return whole;
  }

  /** Takes everything back. Repeatable. */
  async end(): Promise<void> {
    for (const { network } of (await this.#changes.read())?.bridgeUplinks ?? []) await this.#unjoin(network);
    this.#problems.clear();
    this.#told.clear();
  }

  #tell(network: string): void {
    const problem = this.#problems.get(network)?.message ?? null;
    if (problem === (this.#told.get(network) ?? null)) return;
    if (problem === null) this.#told.delete(network);
    else this.#told.set(network, problem);
    this.#changed(network, problem);
  }

  #isJoined({ name, interface: target }: NetworkSpec, interfaces: readonly HostInterface[]): boolean {
    const found = interfaces.find((one) => one.name === target);
    const outside = interfaces.find((one) => one.name === bridgeUplinkOutside(this.#stateDirectory, name));
    const around = hostBridge(this.#stateDirectory, name);
    if (!found || !outside?.isUp) return false;
    if (found.isBridge) return outside.master === target;
    const isAroundUp = interfaces.some((one) => one.name === around && one.isUp);
    return found.master === around && outside.master === around && found.isUp && isAroundUp;
  }

  /** Why it cannot be joined; null: nothing is in the way. */
  #obstacle({ name, interface: target }: NetworkSpec, interfaces: readonly HostInterface[]): VivError | null {
    const found = interfaces.find((one) => one.name === target);
    if (!found) return new VivError('unsupported', `the network ${name} is bridged to ${target}, and the host has no such interface now`);
    const around = hostBridge(this.#stateDirectory, name);
    const isMade = interfaces.some((one) => one.name === bridgeUplinkOutside(this.#stateDirectory, name) && one.master === around);
    // It was brought up as it was joined, so somebody has switched it off.
    if (found.master === around && isMade && !found.isUp)
      return new VivError(
        'unsupported',
        `the network ${name} is bridged to ${target}, which is switched off; the command for it is: ip link set ${target} up`,
      );
    if (found.master === around) return null;
    // It may carry an address by now, which would be lost.
    return bridgeObstacle(interfaces, found.name);
  }

  async #join(network: NetworkSpec, holder: number, signal: AbortSignal): Promise<void> {
    const { name, interface: target } = network;
    const interfaces = await hostInterfaces(this.#ip);
    const obstacle = this.#obstacle(network, interfaces);
    if (obstacle !== null) throw obstacle;
    const outside = bridgeUplinkOutside(this.#stateDirectory, name);
    const around = hostBridge(this.#stateDirectory, name);
    const made = await this.#changes.begun(this.#ip);
    const bridgeUplink = { network: name, interface: target ?? '' };
    await this.#changes.write({ ...made, bridgeUplinks: [...made.bridgeUplinks.filter((other) => other.network !== name), bridgeUplink] });
    const there = (device: string) => interfaces.some((one) => one.name === device);
    const isBridge = interfaces.some((one) => one.name === target && one.isBridge);
    const commands = [
      ...(there(outside) ? [`link del dev ${outside}`] : []),
      ...(isBridge || there(around) ? [] : [`link add name ${around} type bridge forward_delay 0 stp_state 0`]),
      ...(isBridge ? [] : [`link set dev ${around} addrgenmode none up`, `link set dev ${target} master ${around} up`]),
      `link add name ${outside} type veth peer name ${bridgeUplinkInside(name)} netns ${holder}`,
      `link set dev ${outside} master ${isBridge ? target : around} addrgenmode none up`,
    ];
    try {
      await runBatch([this.#ip], commands, signal);
    } catch (error) {
      await this.#unjoin(name);
      if (!(error instanceof ProgramFailed)) throw error;
      const why = error.result.stderr.trim().split('\n')[0] ?? '';
      throw new VivError('unsupported', `the network ${name} cannot be joined to ${target}: ${why}`, { cause: error });
    }
  }

  async #unjoin(network: string): Promise<void> {
    for (const name of [bridgeUplinkOutside(this.#stateDirectory, network), hostBridge(this.#stateDirectory, network)])
      await this.#delete(name);
  }

  async #delete(device: string): Promise<void> {
    await runProgram(this.#ip, ['link', 'del', 'dev', device], { timeoutMs: deadlineMs });
  }
}
