// What the API shows of a network.
import type { Network } from '../../contract/network.ts';
import type { NetworkRecord } from '../../machine/network-records.ts';
import { gatewayOf } from '../../machine/networks.ts';
import { tapOf } from '../../network/names.ts';
import type { TrafficByTap } from '../../network/traffic.ts';
import type { Services } from '../services.ts';

/** @param traffic null: not asked for */
export function viewOf(
  { name, kind, ipv4, ipv6, interface: host, createdAt }: NetworkRecord,
  { machines }: Services,
  traffic: TrafficByTap | null,
): Network {
  return {
    name,
    kind,
    ipv4,
    ipv6,
    gateways: [ipv4, ipv6].flatMap((subnet) => (subnet === null ? [] : [gatewayOf(subnet)])),
    interface: host,
    nics: machines.list().flatMap((machine) =>
      machine.record.nics
        .filter((nic) => nic.network === name)
        .map((nic) => {
          const passed = traffic?.get(tapOf(machine.id, nic.id));
          const addresses = [nic.ipv4, nic.ipv6].filter((address) => address !== null);
          return {
            vm: machine.name,
            nic: nic.id,
            mac: nic.mac,
            addresses,
            up: nic.up,
            fromGuest: passed?.fromGuest ?? null,
            toGuest: passed?.toGuest ?? null,
          };
        }),
    ),
    createdAt,
  };
}
