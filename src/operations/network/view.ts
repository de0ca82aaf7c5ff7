// A network as the API shows it.
import { formatHostAccess } from '../../contract/host-access.ts';
import type { Network } from '../../contract/network.ts';
import type { PortCounters } from '../../network/firewall/counters.ts';
import type { TrafficByTap } from '../../network/flow/counters.ts';
import { tapOf } from '../../network/kernel/interface-names.ts';
import { defaultSettings } from '../../network/model.ts';
import { gatewayOf } from '../../network/record/desired-state.ts';
import type { NetworkRecord } from '../../network/record/network.ts';
import type { UnreadableRecord } from '../../store/named-records.ts';
import type { Services } from '../services.ts';

/** Counters of what passed and what was dropped, by tap. */
export interface Passing {
  readonly traffic: TrafficByTap;
  readonly dropped: ReadonlyMap<string, PortCounters>;
}

/** A network whose record cannot be read: shown so that it can be removed. */
export function unreadableView({ name, why }: UnreadableRecord, services: Services): Network {
  return { ...viewOf({ ...defaultSettings, hostAccess: [], name, kind: 'nat', ...none }, services, null), problem: why };
}

const none = { ipv4: null, ipv6: null, interface: null, project: null, createdAt: 0 };

/** @param passing null: not requested */
export function viewOf(
  { name, kind, ipv4, ipv6, interface: host, spoofing, linkLocal, capacityBytesPerSecond, hostAccess, createdAt }: NetworkRecord,
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
    ...{ spoofing, linkLocal, capacityBytesPerSecond, hostAccess: hostAccess.map(formatHostAccess) },
    problem: networks.reconciler.problemOf(name)?.message ?? null,
    nics: vms.list().flatMap((vm) =>
      vm.record.nics
        .filter((nic) => nic.network === name)
        .map((nic) => {
          const tap = tapOf(vm.id, nic.id);
          const passed = passing?.traffic.get(tap);
          const drops = passing?.dropped.get(tap);
          const addresses = [nic.ipv4, nic.ipv6].filter((address) => address !== null);
          return {
            vm: vm.name,
            nic: nic.id,
            mac: nic.mac,
            addresses,
            up: nic.up,
            fromGuest: passed?.fromGuest ?? null,
            toGuest: passed?.toGuest ?? null,
            dropped: drops ? { spoofed: drops.spoofedPackets, out: drops.droppedOutPackets, in: drops.droppedInPackets } : null,
          };
        }),
    ),
    createdAt,
  };
}
