// Fair shares of a network's capacity: an HTB class number for each port and network, which the rules set as the priority of packets to and from the uplink.
// Numbers are derived from names, so that adding or removing a port leaves the others' unchanged.
import { createHash } from 'node:crypto';
import type { Facts, NetworkFacts, PortFacts } from '../facts.ts';
import type { Table } from '../ruleset.ts';

export interface Share {
  readonly network: NetworkFacts;
  readonly capacityBytesPerSecond: number;
  /** Minor number of the class, in hexadecimal. */
  readonly number: string;
  readonly ports: readonly { readonly port: PortFacts; readonly number: string }[];
}

/** Of the networks that have a capacity. */
export function sharesOf(facts: Facts): Share[] {
  const taken = new Set<number>([0, 1]);
  const pick = (name: string): string => {
    let number = createHash('sha256').update(name).digest().readUInt16BE(0) & 0x7fff;
    while (taken.has(number)) number = (number + 1) & 0x7fff;
    taken.add(number);
    return number.toString(16);
  };
  return facts.networks.flatMap((network) => {
    const capacity = network.capacityBytesPerSecond;
    if (capacity === undefined) return [];
    const ports = facts.ports.filter((port) => port.network === network).map((port) => ({ port, number: pick(`port ${port.name}`) }));
    return [{ network, capacityBytesPerSecond: capacity, number: pick(`network ${network.name}`), ports }];
  });
}

/** Before source NAT. */
export function writeShares(table: Table, facts: Facts): void {
  const shares = sharesOf(facts);
  if (shares.length === 0) return;
  const rules: string[] = [];
  for (const family of [4, 6] as const) {
    const entries = shares.flatMap(({ ports }) =>
      ports.flatMap(({ port, number }) =>
        port.addresses.filter((own) => own.family === family).map(({ text }) => [text, `1:${number}`] as const),
      ),
    );
    table.map(`share_${family}`, `type ipv${family}_addr : classid`, entries);
    const ip = family === 4 ? 'ip' : 'ip6';
    rules.push(`meta priority set ${ip} daddr map @share_${family}`);
    if (facts.uplink !== null) rules.push(`oifname ${facts.uplink} meta priority set ${ip} saddr map @share_${family}`);
  }
  table.chain('share', 'type filter hook postrouting priority -10; policy accept', rules);
}
