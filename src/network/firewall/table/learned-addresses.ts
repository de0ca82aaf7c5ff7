// Learned addresses: on bridged networks the outside assigns them. An IPv4 address belongs to the first port that uses it, for as long as it is used; never
// one that the outside uses, or that is another port's. An IPv6 address must have the interface identifier that is derived from the port's MAC address.
import { hexadecimal, linkLocal } from '../address.ts';
import type { Facts, NetworkFacts, PortFacts } from '../facts.ts';
import { named } from '../names.ts';
import type { Table } from '../ruleset.ts';

/** Longer than ARP caches and most idle times. */
const learnedSeconds = 3600;

export function learnedAddresses(table: Table, { networks, ports }: Facts): void {
  const open = (port: PortFacts, family: 4 | 6) =>
    port.network.kind === 'bridged' && port.network.spoofing === 'drop' && !port.addresses.some((own) => own.family === family);
  for (const kind of ['ip4', 'arp'] as const) {
    const entries = ports
      .filter((port) => open(port, 4))
      .map((port) => [port.interface, `goto ${learnChain(kind, port.network)}`] as const);
    table.map(`learning_${kind}`, 'type ifname : verdict', entries);
  }
  const ids = ports.filter((port) => open(port, 6)).map((port) => `${port.interface} . 0x${hexadecimal(linkLocal(port.mac)).slice(-16)}`);
  table.set('interface_ids', 'typeof iifname . @nh,128,64', ids);
  const outsides: (readonly [string, string])[] = [];
  for (const network of networks.filter(({ kind, spoofing }) => kind === 'bridged' && spoofing === 'drop')) {
    const assigned = ports
      .filter((port) => port.network === network)
      .flatMap((port) => port.addresses.flatMap((own) => (own.family === 4 ? [own.text] : [])));
    const chain = learn(table, network, [...assigned, ...network.gateways.flatMap((own) => (own.family === 4 ? [own.text] : []))]);
    if (network.outside !== null) outsides.push([network.outside, `jump ${chain}`]);
  }
  table.map('outside_ports', 'type ifname : verdict', outsides);
  table.chain('learn_outside', null, ['iifname vmap @outside_ports', 'accept']);
}

function learnChain(kind: 'ip4' | 'arp', { name }: NetworkFacts): string {
  return named(`learn_${kind}`, name);
}

/** @returns the chain that learns the outside's addresses */
function learn(table: Table, network: NetworkFacts, assigned: readonly string[]): string {
  const [byPort, all, fixed, outside] = ['learned', 'learned_all', 'assigned', 'outside'].map((kind) => named(kind, network.name));
  table.set(`${byPort}`, `type ifname . ipv4_addr; flags dynamic,timeout; timeout ${learnedSeconds}s; size 65535`, null);
  for (const name of [all, outside])
    table.set(`${name}`, `type ipv4_addr; flags dynamic,timeout; timeout ${learnedSeconds}s; size 65535`, null);
  table.set(`${fixed}`, 'type ipv4_addr', assigned);
  for (const [kind, sender] of [
    ['ip4', 'ip saddr'],
    ['arp', 'arp saddr ip'],
  ] as const) {
    table.chain(learnChain(kind, network), null, [
      ...(kind === 'ip4'
        ? ['ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept']
        : ['arp saddr ip 0.0.0.0 accept']),
      `${sender} { 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3 } goto dropped_spoof`,
      `${sender} @${fixed} goto dropped_spoof`,
      `iifname . ${sender} @${byPort} update @${byPort} { iifname . ${sender} } update @${all} { ${sender} } accept`,
      `${sender} @${all} goto dropped_spoof`,
      `${sender} @${outside} goto dropped_spoof`,
      `add @${byPort} { iifname . ${sender} } add @${all} { ${sender} } accept`,
      // the set is full
      'goto dropped_spoof',
    ]);
  }
  return table.chain(named('learn_outside', network.name), null, [`arp saddr ip != 0.0.0.0 update @${outside} { arp saddr ip }`]);
}
