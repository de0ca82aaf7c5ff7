// The cards of all machines in the host's networks, those at points as well: whose address is which, and what is kept free for machines to come.

import { isVirtual } from '../../vm/device/nics.ts';
import type { MachineRecord, NicRecord } from '../../vm/record.ts';
import type { Machines } from '../../vm/registry.ts';
import type { NetworkRecords } from '../record/network.ts';
import { subnetOf } from './address.ts';
import { placed } from './allocate.ts';

export class NetworkCards {
  readonly #machines: Machines;
  readonly #records: NetworkRecords;
  /** Cards of machines that are being entered into the store, by the machine's id. */
  readonly #placing = new Map<string, readonly NicRecord[]>();

  constructor(machines: Machines, records: NetworkRecords) {
    this.#machines = machines;
    this.#records = records;
  }

  /**
   * The record with an address for each of its cards, kept free for it until entered() is called.
   * @throws in_use, invalid where an address or MAC address that was asked for cannot be had
   */
  placed(record: MachineRecord): MachineRecord {
    const nics: NicRecord[] = [];
    for (const nic of record.nics) nics.push(this.#place(nic, record, nics));
    this.#placing.set(record.id, nics);
    return { ...record, nics };
  }

  entered(id: string): void {
    this.#placing.delete(id);
  }

  /** Names of the machines and points that have a card in it. */
  usersOf(network: string): string[] {
    return [...new Set([...this.#nicsIn(network, '')].map(({ vm }) => vm))];
  }

  /** A card's own addresses, each with the prefix of its network; none where others give them. */
  addressesOf({ network, ipv4, ipv6 }: NicRecord): string[] {
    const subnets = this.#records.byName(network);
    const within = (address: string | null, subnet: string | null) =>
      address === null || subnet === null ? [] : [`${address}/${subnetOf(subnet).prefix}`];
    return subnets ? [...within(ipv4, subnets.ipv4), ...within(ipv6, subnets.ipv6)] : [];
  }

  /** Cards that are in a security group, those in points as well. */
  *inGroup(group: string): Generator<{ vm: string; nic: string; point: boolean }> {
    for (const { nic, vm, point } of this.#all()) if (nic.groups.includes(group)) yield { vm, nic: nic.id, point };
  }

  #place(nic: NicRecord, { id, name }: MachineRecord, own: readonly NicRecord[]): NicRecord {
    if (!isVirtual(nic)) return nic;
    const network = this.#records.get(nic.network);
    const mine = own.filter((one) => one.network === network.name).map((one) => ({ nic: one, vm: name }));
    return placed(nic, network, [...this.#nicsIn(network.name, id), ...mine], `${id}/${nic.id}`);
  }

  /** Cards of all machines, and those that machines had at points. */
  *#all(): Generator<{ nic: NicRecord; id: string; vm: string; point: boolean }> {
    for (const { record } of this.#machines.all())
      for (const nic of record.nics) yield { nic, id: record.id, vm: record.name, point: false };
    for (const { machine, vm: id } of this.#machines.points.all())
      for (const nic of machine.nics) yield { nic, id, vm: machine.name, point: true };
  }

  /** Cards in a network, those in points and of machines being entered as well, but for one machine's. */
  *#nicsIn(network: string, but: string): Generator<{ nic: NicRecord; vm: string }> {
    for (const { nic, id, vm } of this.#all()) if (id !== but && nic.network === network) yield { nic, vm };
    for (const [id, nics] of this.#placing) if (id !== but) for (const nic of nics) if (nic.network === network) yield { nic, vm: id };
  }
}
