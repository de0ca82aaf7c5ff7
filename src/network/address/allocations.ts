// Which addresses are allocated: those of every VM's NICs, of the NICs in snapshots, and of VMs that are being registered.
import { isVirtual, type Nic, type NicOwner, type PortSource } from '../model.ts';
import type { NetworkRecords } from '../record/network.ts';
import { subnetOf } from './address.ts';
import { allocate } from './allocate.ts';

/** A NIC and whose it is; `snapshot`: the VM had it when a snapshot was taken. */
interface Allocation {
  readonly nic: Nic;
  readonly id: string;
  readonly vm: string;
  readonly snapshot: boolean;
}

export class NicAllocations {
  readonly #source: PortSource;
  readonly #networks: NetworkRecords;
  /** NICs of VMs that are being written to the store, by the VM's id. */
  readonly #reserved = new Map<string, readonly Nic[]>();

  constructor(source: PortSource, networks: NetworkRecords) {
    this.#source = source;
    this.#networks = networks;
  }

  /**
   * The VM with an address for each of its NICs. The addresses are reserved until release() is called.
   * @throws in_use, invalid where a requested address or MAC address is not available
   */
  reserve<V extends NicOwner>(vm: V): V {
    const nics: Nic[] = [];
    for (const nic of vm.nics) nics.push(this.#allocate(nic, vm, nics));
    this.#reserved.set(vm.id, nics);
    return { ...vm, nics };
  }

  /** The VM is in the store, or will not be. Repeatable. */
  release(id: string): void {
    this.#reserved.delete(id);
  }

  /** Names of the VMs, snapshots included, that have a NIC in the network. */
  usersOf(network: string): string[] {
    return [...new Set([...this.#inNetwork(network, '')].map(({ vm }) => vm))];
  }

  /** The addresses of a NIC, each with the prefix length of its subnet. */
  addressesOf({ network, ipv4, ipv6 }: Nic): string[] {
    const subnets = this.#networks.byName(network);
    const withPrefix = (address: string | null, subnet: string | null) =>
      address === null || subnet === null ? [] : [`${address}/${subnetOf(subnet).prefix}`];
    return subnets ? [...withPrefix(ipv4, subnets.ipv4), ...withPrefix(ipv6, subnets.ipv6)] : [];
  }

  /** NICs that are in a security group, those in snapshots as well. */
  *inGroup(group: string): Generator<{ vm: string; nic: string; snapshot: boolean }> {
    for (const { nic, vm, snapshot } of this.#all()) if (nic.securityGroups.includes(group)) yield { vm, nic: nic.id, snapshot };
  }

  #allocate(nic: Nic, { id, name }: NicOwner, own: readonly Nic[]): Nic {
    if (!isVirtual(nic)) return nic;
    const network = this.#networks.get(nic.network);
    const siblings = own.filter((one) => one.network === network.name).map((one) => ({ nic: one, vm: name }));
    return allocate(nic, network, [...this.#inNetwork(network.name, id), ...siblings], `${id}/${nic.id}`);
  }

  *#all(): Generator<Allocation> {
    for (const { id, name, nics } of this.#source.ports()) for (const nic of nics) yield { nic, id, vm: name, snapshot: false };
    for (const { id, name, nics } of this.#source.inSnapshots()) for (const nic of nics) yield { nic, id, vm: name, snapshot: true };
  }

  /** All NICs in a network but those of one VM. */
  *#inNetwork(network: string, except: string): Generator<{ nic: Nic; vm: string }> {
    for (const { nic, id, vm } of this.#all()) if (id !== except && nic.network === network) yield { nic, vm };
    for (const [id, nics] of this.#reserved) if (id !== except) for (const nic of nics) if (nic.network === network) yield { nic, vm: id };
  }
}
