// The bridge family: every frame of every port, at four places.
//
//   port -> guard (-300) -> [connections: -200 or 0] -> leave (10) -> between (10) -> port          one VM to another of its network
//                                                                  -> upward (10)  -> the inet table  to the gateway and beyond
//
// guard: whose frame is it; before anything remembers it. leave: what only a network may say (DHCP answers, router advertisements, others' addresses),
// looked at once fragments are whole; then what the port's groups and egress let out. between: what the receiving port's groups let in.
// Interfaces that are not in the model get nothing through.
//
// Every hook's policy is "accept". While a table is exchanged the kernel runs the new one empty beside the old one, and then for a moment the old one
// with empty maps (not sets) beside the new one; each must let through what the other decides about. So what ends a hook is a map too: "standing".
//
// Marks: 1 = belongs to a connection that was accepted; 2 = went up to be routed.
import type { Facts } from './facts.ts';
import { addressSets, groupChains } from './groups.ts';
import { owners } from './owners.ts';
import { Table } from './ruleset.ts';
import { accepted, refused } from './verdict.ts';

const neighbourly =
  'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept';

export function bridgeTable(facts: Facts): Table {
  const table = new Table('bridge');
  table.lasting(facts.ports, 'owners', (part) => owners(part, facts));
  table.chain('accepted', null, accepted);
  table.chain('spoofed', null, refused('drop spoof', 'iifname @count_spoofed'));
  table.chain('refused_out', null, refused('drop out', 'iifname @count_out'));
  table.chain('refused_egress', null, refused('drop egress', 'iifname @count_out'));
  table.chain('refused_in', null, refused('drop in', 'oifname @count_in'));
  guard(table);
  leave(table, facts);
  between(table, facts);
  table.chain('upward', 'type filter hook input priority 10; policy accept', ['meta mark set meta mark | 0x2']);
  return table;
}

function guard(table: Table): void {
  table.chain('guard_arp', null, [
    'arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } iifname . arp saddr ether . arp saddr ip @arps accept',
    'arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } iifname . arp saddr ether @macs iifname vmap @claiming_arp',
    'goto spoofed',
  ]);
  table.chain('guard_ip4', null, [
    'iifname . ip saddr @own_4 accept',
    'iifname vmap @claiming_ip4',
    'ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept',
    'goto spoofed',
  ]);
  table.chain('guard_ip6', null, [
    'iifname . ip6 saddr @own_6 accept',
    'iifname . @nh,128,64 @interface_ids accept',
    // before it has an address: is it free, who routes, what it listens to
    'ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld-listener-report, mld-listener-done, mld2-listener-report } accept',
    'goto spoofed',
  ]);
  table.chain('guard_trunk', null, [
    'iifname . ether saddr != @macs goto spoofed',
    'ether type 0x8100 accept',
    // in the port's own VLAN, as any other
    'goto guard_frame',
  ]);
  table.chain('guard_frame', null, [
    'iifname . ether saddr != @macs goto spoofed',
    'ether type arp goto guard_arp',
    'ether type ip goto guard_ip4',
    'ether type ip6 goto guard_ip6',
    'goto spoofed',
  ]);
  table.chain('guard', 'type filter hook prerouting priority -300; policy accept', [
    'iifname != @known drop',
    'iifname vmap @guarded',
    'iifname vmap @standing',
  ]);
}

function leave(table: Table, facts: Facts): void {
  const gateways = addressSets(table, 'gateways', () => facts.networks.flatMap((network) => network.gateways));
  groupChains(table, facts, 'out', 'return', 'refused_out');
  table.chain('leave_policy', null, [
    'meta mark & 0x1 == 0x1 accept',
    'meta protocol != { ip, ip6 } accept',
    neighbourly,
    'meta l4proto igmp accept',
    'udp sport 68 udp dport 67 accept',
    'udp sport 546 udp dport 547 accept',
    ...gateways.map(({ family, text }) => `${family === 4 ? 'ip' : 'ip6'} daddr ${text} meta l4proto { tcp, udp } th dport 53 accept`),
    'iifname vmap @out',
    'iifname vmap @egress',
    'accept',
  ]);
  table.chain('leave_guarded', null, [
    'meta l4proto tcp goto leave_policy',
    'udp dport { 68, 546 } goto spoofed',
    'icmpv6 type { nd-router-advert, nd-redirect } goto spoofed',
    'icmp type { redirect, router-advertisement } goto spoofed',
    'icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets iifname . @th,128,64 != @interface_ids goto spoofed',
    'ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 != @targets iifname . @th,128,64 != @interface_ids goto spoofed',
    'udp dport 67 iifname . @th,288,48 != @clients goto spoofed',
    'goto leave_policy',
  ]);
  table.chain('leave_trunk', null, ['ether type 0x8100 goto leave_policy', 'goto leave_guarded']);
  table.chain('leave', 'type filter hook prerouting priority 10; policy accept', [
    // where the bridge itself follows connections; else the inet table has set the mark by now
    ...(facts.tracking === 'bridge' ? ['ct state established,related meta mark set meta mark | 0x1'] : []),
    'iifname vmap @leaving',
  ]);
}

function between(table: Table, facts: Facts): void {
  groupChains(table, facts, 'in', 'goto accepted', 'refused_in');
  table.chain('between', 'type filter hook forward priority 10; policy accept', [
    'meta mark & 0x1 == 0x1 accept',
    'meta protocol != { ip, ip6 } accept',
    neighbourly,
    'meta l4proto igmp accept',
    'udp dport { 68, 546 } accept',
    'oifname != @known drop',
    'oifname vmap @entering',
    'oifname vmap @standing',
  ]);
}
