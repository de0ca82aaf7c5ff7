// What the API shows of a network.
import { formatHostAccess } from '../../contract/host-access.ts';
import type { Network } from '../../contract/network.ts';
import type { PortCounters } from '../../network/firewall/counters.ts';
import type { TrafficByTap } from '../../network/flow/counters.ts';
import { tapOf } from '../../network/kernel/interface-names.ts';
import { gatewayOf } from '../../network/record/desired-state.ts';
import type { NetworkRecord } from '../../network/record/network.ts';
import type { Services } from '../services.ts';

/** What has passed and what was refused, by tap. */
export interface Passing {
  readonly traffic: TrafficByTap;
  readonly refused: ReadonlyMap<string, PortCounters>;
}

/** @param passing null: not asked for */
export function viewOf(
  { name, kind, ipv4, ipv6, interface: host, guarded, capacityBytesPerSecond, hostAccess, createdAt }: NetworkRecord,
  { networks, vms }: Services,
  passing: Passing | null,
): Network {
  return {
    name,
    kind,
    ipv4,
    ipv6,
    gateways: [ipv4, ipv6].flatMap((subnet) => (subnet === null ? [] : [gatewayOf(subnet)])),
    interface: host,
    ...{ guarded, capacityBytesPerSecond, hostAccess: hostAccess.map(formatHostAccess) },
    problem: networks.here.problemOf(name)?.message ?? null,
    nics: vms.list().flatMap((vm) =>
      vm.record.nics
        .filter((nic) => nic.network === name)
        .map((nic) => {
          const tap = tapOf(vm.id, nic.id);
          const passed = passing?.traffic.get(tap);
          const refused = passing?.refused.get(tap);
          const addresses = [nic.ipv4, nic.ipv6].filter((address) => address !== null);
          return {
            vm: vm.name,
            nic: nic.id,
            mac: nic.mac,
            addresses,
            up: nic.up,
            fromGuest: passed?.fromGuest ?? null,
            toGuest: passed?.toGuest ?? null,
            dropped: refused ? { spoofed: refused.spoofedPackets, out: refused.refusedOutPackets, in: refused.refusedInPackets } : null,
          };
        }),
    ),
    createdAt,
  };
}
