// Packets that relays of port forwards send to guests. They have a mark that only the namespace's own processes can set, and pass the receiving port's
// security groups as routed packets do, under the client's address where the relay can keep it, otherwise under the gateway's. The connection keeps the
// mark; the guest's replies get another one, by which they are delivered locally although their destination is outside (kernel/return-route.ts).
//
// What the groups do not allow is rejected, not dropped, so that the relay can close its client's connection at once: with ICMP "prohibited", which a guest
// without a listener does not send (it sends a reset), so the relay knows not to try another address.
import { relayMark, replyMark } from '../../kernel/interface-names.ts';
import type { Table } from '../ruleset.ts';

const hex = (mark: number) => `0x${mark.toString(16)}`;

/** Before the drop of what no group allows. For UDP the relay's send call fails. */
export const rejectRelayed = [
  `meta mark & ${hex(relayMark)} == ${hex(relayMark)} meta nfproto ipv4 meta l4proto tcp reject with icmp net-prohibited`,
  `meta mark & ${hex(relayMark)} == ${hex(relayMark)} meta nfproto ipv6 meta l4proto tcp reject with icmpv6 admin-prohibited`,
];

/** Before routing. */
export const markReplies = `iifname @bridges ct direction reply ct mark & ${hex(relayMark)} == ${hex(relayMark)} meta mark set meta mark | ${hex(replyMark)}`;

export function relayed(table: Table): void {
  table.chain('relayed', null, [
    `ct mark set ct mark | ${hex(relayMark)}`,
    'ct state established,related accept',
    // a client outside never has a VM's address
    'ip saddr @inside_4 oifname . ip saddr != @gateways_4 goto dropped_network',
    'ip6 saddr @inside_6 oifname . ip6 saddr != @gateways_6 goto dropped_network',
    'oifname . ip daddr vmap @inbound_4',
    'oifname . ip6 daddr vmap @inbound_6',
    'oifname vmap @final',
  ]);
  table.chain('output', 'type filter hook output priority 0; policy accept', [
    `meta mark & ${hex(relayMark)} == ${hex(relayMark)} jump relayed`,
  ]);
  // such an error is addressed to the client, whose address the relay uses: deliver it here. Nothing else in the namespace sends these
  table.chain('relay_errors', 'type route hook output priority -150; policy accept', [
    `icmp type destination-unreachable icmp code net-prohibited meta mark set meta mark | ${hex(replyMark)}`,
    `icmpv6 type destination-unreachable icmpv6 code admin-prohibited meta mark set meta mark | ${hex(replyMark)}`,
  ]);
}
