// Sets and maps of the bridge table that depend on the ports only: MAC and IP addresses, which chains a port's frames go through, and counters of dropped
// packets. Keyed by interface: one lookup, however many ports there are.
import { hexadecimal } from '../address.ts';
import { egressChain } from '../egress.ts';
import type { Facts, PortFacts } from '../facts.ts';
import { groupChain } from '../groups.ts';
import type { Table } from '../ruleset.ts';
import { learnedAddresses } from './learned-addresses.ts';

export function portElements(table: Table, facts: Facts): void {
  counters(table, facts);
  addresses(table, facts);
  verdictMaps(table, facts);
  policies(table, facts);
  learnedAddresses(table, facts);
}

function counters(table: Table, { ports }: Facts): void {
  const keys = ports.map((port) => port.interface);
  for (const kind of ['spoofed', 'out', 'in']) table.set(`count_${kind}`, 'type ifname; counter', keys);
}

function addresses(table: Table, { ports }: Facts): void {
  const checked = ports.filter(({ network }) => network.spoofing === 'drop');
  const set = (name: string, head: string, of: (port: PortFacts) => readonly string[]) => {
    const keys = checked.flatMap((port) => of(port).map((key) => `${port.interface} . ${key}`));
    return table.set(name, head, keys);
  };
  const own = (port: PortFacts, family: 4 | 6) => port.own.filter((address) => address.family === family);
  set('macs', 'type ifname . ether_addr', ({ mac }) => [mac]);
  set('arps', 'type ifname . ether_addr . ipv4_addr', (port) =>
    [...own(port, 4).map(({ text }) => text), '0.0.0.0'].map((text) => `${port.mac} . ${text}`),
  );
  set('own_4', 'type ifname . ipv4_addr', (port) => own(port, 4).map(({ text }) => text));
  set('own_6', 'type ifname . ipv6_addr', (port) => own(port, 6).map(({ text }) => text));
  // payloads that nft has no name for: the target of a neighbor discovery message, the client's MAC address in a DHCP request
  set('targets', 'typeof iifname . @th,64,128', (port) => own(port, 6).map(hexadecimal));
  set('clients', 'typeof iifname . @th,288,48', ({ mac }) => [`0x${mac.replaceAll(':', '')}`]);
}

function verdictMaps(table: Table, { ports, networks }: Facts): void {
  const outsides = networks.flatMap(({ outside }) => (outside === null ? [] : [outside]));
  const known = [...ports.map((port) => port.interface), ...outsides];
  table.set('ports', 'type ifname', known);
  const map = (name: string, of: (port: PortFacts) => string, others: string | null) =>
    table.map(name, 'type ifname : verdict', [
      ...ports.map((port) => [port.interface, of(port)] as const),
      ...(others === null ? [] : outsides.map((outside) => [outside, others] as const)),
    ]);
  map('final', () => 'drop', 'drop');
  map(
    'source_checks',
    ({ network, trunk }) => (network.spoofing === 'allow' ? 'accept' : trunk ? 'jump source_trunk' : 'jump source_frame'),
    'jump learn_outside',
  );
  map('groups_in', ({ groups }) => `jump ${groupChain(groups, 'in') ?? 'accepted'}`, 'goto accepted');
  map(
    'outbound_checks',
    ({ network, trunk }) =>
      network.spoofing === 'allow' ? 'goto outbound_policy' : trunk ? 'goto outbound_trunk' : 'goto outbound_checked',
    null,
  );
}

/** groups.ts creates the chains of the groups, which depend on more than the ports. */
function policies(table: Table, { ports }: Facts): void {
  const map = (name: string, of: (port: PortFacts) => string | null) => {
    const entries = ports.flatMap((port) => {
      const chain = of(port);
      return chain === null ? [] : [[port.interface, `jump ${chain}`] as const];
    });
    table.map(name, 'type ifname : verdict', entries);
  };
  map('groups_out', ({ groups }) => groupChain(groups, 'out'));
  map('egress', (port) => egressChain(table, port));
}
