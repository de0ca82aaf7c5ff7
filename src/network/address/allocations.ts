// The NICs of all VMs in the host's networks, those at snapshots as well: whose address is which, and what is kept free for VMs to come.

import type { SnapshotRecords } from '../../vm/capture/snapshot-record.ts';
import { isVirtual } from '../../vm/device/nics.ts';
import type { NicRecord, VmRecord } from '../../vm/record.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import type { NetworkRecords } from '../record/network.ts';
import { subnetOf } from './address.ts';
import { placed } from './allocate.ts';

export class NicAllocations {
  readonly #vms: VmRegistry;
  readonly #snapshots: Pick<SnapshotRecords, 'all'>;
  readonly #records: NetworkRecords;
  /** NICs of VMs that are being entered into the store, by the VM's id. */
  readonly #placing = new Map<string, readonly NicRecord[]>();

  constructor(vms: VmRegistry, snapshots: Pick<SnapshotRecords, 'all'>, records: NetworkRecords) {
    this.#snapshots = snapshots;
    this.#vms = vms;
    this.#records = records;
  }

  /**
   * The record with an address for each of its NICs, kept free for it until entered() is called.
   * @throws in_use, invalid where an address or MAC address that was asked for cannot be had
   */
  placed(record: VmRecord): VmRecord {
    const nics: NicRecord[] = [];
    for (const nic of record.nics) nics.push(this.#place(nic, record, nics));
    this.#placing.set(record.id, nics);
    return { ...record, nics };
  }

  entered(id: string): void {
    this.#placing.delete(id);
  }

  /** Names of the VMs and snapshots that have a NIC in it. */
  usersOf(network: string): string[] {
    return [...new Set([...this.#nicsIn(network, '')].map(({ vm: vmRef }) => vmRef))];
  }

  /** A NIC's own addresses, each with the prefix of its network; none where others give them. */
  addressesOf({ network, ipv4, ipv6 }: NicRecord): string[] {
    const subnets = this.#records.byName(network);
    const within = (address: string | null, subnet: string | null) =>
      address === null || subnet === null ? [] : [`${address}/${subnetOf(subnet).prefix}`];
    return subnets ? [...within(ipv4, subnets.ipv4), ...within(ipv6, subnets.ipv6)] : [];
  }

  /** NICs that are in a security group, those in snapshots as well. */
  *inGroup(group: string): Generator<{ vm: string; nic: string; snapshot: boolean }> {
    for (const { nic, vm: vmRef, snapshot } of this.#all())
      if (nic.securityGroups.includes(group)) yield { vm: vmRef, nic: nic.id, snapshot };
  }

  #place(nic: NicRecord, { id, name }: VmRecord, own: readonly NicRecord[]): NicRecord {
    if (!isVirtual(nic)) return nic;
    const network = this.#records.get(nic.network);
    const mine = own.filter((one) => one.network === network.name).map((one) => ({ nic: one, vm: name }));
    return placed(nic, network, [...this.#nicsIn(network.name, id), ...mine], `${id}/${nic.id}`);
  }

  /** NICs of all VMs, and those that VMs had at snapshots. */
  *#all(): Generator<{ nic: NicRecord; id: string; vm: string; snapshot: boolean }> {
    for (const { record } of this.#vms.all()) for (const nic of record.nics) yield { nic, id: record.id, vm: record.name, snapshot: false };
    for (const { vmRecord: vm, vm: id } of this.#snapshots.all()) for (const nic of vm.nics) yield { nic, id, vm: vm.name, snapshot: true };
  }

  /** NICs in a network, those in snapshots and of VMs being entered as well, but for one VM's. */
  *#nicsIn(network: string, but: string): Generator<{ nic: NicRecord; vm: string }> {
    for (const { nic, id, vm: vmRef } of this.#all()) if (id !== but && nic.network === network) yield { nic, vm: vmRef };
    for (const [id, nics] of this.#placing) if (id !== but) for (const nic of nics) if (nic.network === network) yield { nic, vm: id };
  }
}
