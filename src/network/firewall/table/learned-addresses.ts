// Addresses that nobody told us: on bridged networks the outside gives them. An IPv4 address then belongs to the first port that uses it, for as long as it
// is used; never one that the outside speaks for, or that is another port's. An IPv6 address has to end with what follows from the port's MAC.
import { hexadecimal, linkLocal } from '../address.ts';
import type { Facts, NetworkFacts, PortFacts } from '../facts.ts';
import { named } from '../names.ts';
import type { Table } from '../ruleset.ts';

/** Longer than ARP caches and most silences. */
const claimSeconds = 3600;

export function claims(table: Table, { networks, ports }: Facts): void {
  const open = (port: PortFacts, family: 4 | 6) =>
    port.network.kind === 'bridged' && port.network.guarded && !port.addresses.some((own) => own.family === family);
  for (const kind of ['ip4', 'arp'] as const) {
    const entries = ports
      .filter((port) => open(port, 4))
      .map((port) => [port.interface, `goto ${claimChain(kind, port.network)}`] as const);
    table.map(`claiming_${kind}`, 'type ifname : verdict', entries);
  }
  const ids = ports.filter((port) => open(port, 6)).map((port) => `${port.interface} . 0x${hexadecimal(linkLocal(port.mac)).slice(-16)}`);
  table.set('interface_ids', 'typeof iifname . @nh,128,64', ids);
  const outsides: (readonly [string, string])[] = [];
  for (const network of networks.filter(({ kind, guarded }) => kind === 'bridged' && guarded)) {
    const taken = ports
      .filter((port) => port.network === network)
      .flatMap((port) => port.addresses.flatMap((own) => (own.family === 4 ? [own.text] : [])));
    const heard = claim(table, network, [...taken, ...network.gateways.flatMap((own) => (own.family === 4 ? [own.text] : []))]);
    if (network.outside !== null) outsides.push([network.outside, `jump ${heard}`]);
  }
  table.map('hearing', 'type ifname : verdict', outsides);
  table.chain('heard', null, ['iifname vmap @hearing', 'accept']);
}

function claimChain(kind: 'ip4' | 'arp', { name }: NetworkFacts): string {
  return named(`claim_${kind}`, name);
}

/** @returns the chain that remembers who the outside is */
function claim(table: Table, network: NetworkFacts, taken: readonly string[]): string {
  const [claims, all, fixed, outside] = ['claims', 'claimed', 'taken', 'outside'].map((kind) => named(kind, network.name));
  table.set(`${claims}`, `type ifname . ipv4_addr; flags dynamic,timeout; timeout ${claimSeconds}s; size 65535`, null);
  for (const name of [all, outside])
    table.set(`${name}`, `type ipv4_addr; flags dynamic,timeout; timeout ${claimSeconds}s; size 65535`, null);
  table.set(`${fixed}`, 'type ipv4_addr', taken);
  for (const [kind, who] of [
    ['ip4', 'ip saddr'],
    ['arp', 'arp saddr ip'],
  ] as const) {
    table.chain(claimChain(kind, network), null, [
      ...(kind === 'ip4'
        ? ['ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept']
        : ['arp saddr ip 0.0.0.0 accept']),
      `${who} { 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3 } goto spoofed`,
      `${who} @${fixed} goto spoofed`,
      `iifname . ${who} @${claims} update @${claims} { iifname . ${who} } update @${all} { ${who} } accept`,
      `${who} @${all} goto spoofed`,
      `${who} @${outside} goto spoofed`,
      `add @${claims} { iifname . ${who} } add @${all} { ${who} } accept`,
      // the set is full
      'goto spoofed',
    ]);
  }
  return table.chain(named('heard', network.name), null, [`arp saddr ip != 0.0.0.0 update @${outside} { arp saddr ip }`]);
}
