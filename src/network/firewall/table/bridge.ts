// The bridge table: every frame of every port, in four chains.
//
//   port -> source (-300) -> [conntrack: -200 or 0] -> outbound (10) -> inbound (10)   -> port           to a VM of the same network
//                                                                    -> to_router (10) -> inet table     to the gateway and beyond
//
// source: drops forged source addresses, before conntrack sees the frame. outbound: drops what only the network itself may send (DHCP replies, router
// advertisements, other ports' addresses), once fragments are reassembled; then the port's security groups and egress policy. inbound: the security groups
// of the receiving port. Interfaces that are not in the model pass nothing.
//
// The policy of every hook is "accept". While a table is replaced, the kernel runs the new one empty beside the old one, and then for a moment the old one
// with empty maps (not sets) beside the new one; each must accept what the other decides. So the final verdict of a hook is a map as well: @final.
//
// Marks: 0x1 = belongs to an accepted connection; 0x2 = passed to the router.
import type { Facts } from '../facts.ts';
import { addressSets, groupChains } from '../groups.ts';
import { Table } from '../ruleset.ts';
import { accepted, dropped } from '../verdict.ts';
import { portElements } from './port-elements.ts';

const neighborDiscovery =
  'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept';

export function bridgeTable(facts: Facts): Table {
  const table = new Table('bridge');
  table.lasting(facts.ports, 'ports', (part) => portElements(part, facts));
  table.chain('accepted', null, accepted);
  table.chain('dropped_spoof', null, dropped('drop spoof', 'iifname @count_spoofed'));
  table.chain('dropped_out', null, dropped('drop out', 'iifname @count_out'));
  table.chain('dropped_egress', null, dropped('drop egress', 'iifname @count_out'));
  table.chain('dropped_in', null, dropped('drop in', 'oifname @count_in'));
  source(table);
  outbound(table, facts);
  inbound(table, facts);
  table.chain('to_router', 'type filter hook input priority 10; policy accept', ['meta mark set meta mark | 0x2']);
  return table;
}

function source(table: Table): void {
  table.chain('source_arp', null, [
    'arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } iifname . arp saddr ether . arp saddr ip @arps accept',
    'arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } iifname . arp saddr ether @macs iifname vmap @learning_arp',
    'goto dropped_spoof',
  ]);
  table.chain('source_ip4', null, [
    'iifname . ip saddr @own_4 accept',
    'iifname vmap @learning_ip4',
    'ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept',
    'goto dropped_spoof',
  ]);
  table.chain('source_ip6', null, [
    'iifname . ip6 saddr @own_6 accept',
    'iifname . @nh,128,64 @interface_ids accept',
    // before it has an address: duplicate address detection, router solicitation, multicast groups
    'ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld-listener-report, mld-listener-done, mld2-listener-report } accept',
    'goto dropped_spoof',
  ]);
  table.chain('source_trunk', null, [
    'iifname . ether saddr != @macs goto dropped_spoof',
    'ether type 0x8100 accept',
    // untagged frames as of any other port
    'goto source_frame',
  ]);
  table.chain('source_frame', null, [
    'iifname . ether saddr != @macs goto dropped_spoof',
    'ether type arp goto source_arp',
    'ether type ip goto source_ip4',
    'ether type ip6 goto source_ip6',
    'goto dropped_spoof',
  ]);
  table.chain('source', 'type filter hook prerouting priority -300; policy accept', [
    'iifname != @ports drop',
    'iifname vmap @source_checks',
    'iifname vmap @final',
  ]);
}

function outbound(table: Table, facts: Facts): void {
  const gateways = addressSets(table, 'gateways', () => facts.networks.flatMap((network) => network.gateways));
  groupChains(table, facts, 'out', 'return', 'dropped_out');
  table.chain('outbound_policy', null, [
    'meta mark & 0x1 == 0x1 accept',
    'meta protocol != { ip, ip6 } accept',
    neighborDiscovery,
    'meta l4proto igmp accept',
    'udp sport 68 udp dport 67 accept',
    'udp sport 546 udp dport 547 accept',
    ...gateways.map(({ family, text }) => `${family === 4 ? 'ip' : 'ip6'} daddr ${text} meta l4proto { tcp, udp } th dport 53 accept`),
    'iifname vmap @groups_out',
    'iifname vmap @egress',
    'accept',
  ]);
  table.chain('outbound_checked', null, [
    'meta l4proto tcp goto outbound_policy',
    'udp dport { 68, 546 } goto dropped_spoof',
    'icmpv6 type { nd-router-advert, nd-redirect } goto dropped_spoof',
    'icmp type { redirect, router-advertisement } goto dropped_spoof',
    'icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets iifname . @th,128,64 != @interface_ids goto dropped_spoof',
    'ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 != @targets iifname . @th,128,64 != @interface_ids goto dropped_spoof',
    'udp dport 67 iifname . @th,288,48 != @clients goto dropped_spoof',
    'goto outbound_policy',
  ]);
  table.chain('outbound_trunk', null, ['ether type 0x8100 goto outbound_policy', 'goto outbound_checked']);
  table.chain('outbound', 'type filter hook prerouting priority 10; policy accept', [
    // where the bridge family has conntrack; otherwise the inet table has set the mark already
    ...(facts.tracking === 'bridge' ? ['ct state established,related meta mark set meta mark | 0x1'] : []),
    'iifname vmap @outbound_checks',
  ]);
}

function inbound(table: Table, facts: Facts): void {
  groupChains(table, facts, 'in', 'goto accepted', 'dropped_in');
  table.chain('inbound', 'type filter hook forward priority 10; policy accept', [
    'meta mark & 0x1 == 0x1 accept',
    'meta protocol != { ip, ip6 } accept',
    neighborDiscovery,
    'meta l4proto igmp accept',
    'udp dport { 68, 546 } accept',
    'oifname != @ports drop',
    'oifname vmap @groups_in',
    'oifname vmap @final',
  ]);
}
