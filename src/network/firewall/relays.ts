// What the relays of forwards (forward/) send to guests: their packets bear a mark that only the namespace's own processes can set. They pass the
// receiving port's groups as routed ones do, under the client's address where the relay could keep it, else under the gateway's. The mark stays with
// the connection, and what a guest answers gets another one, by which it is taken in although it is for somebody outside (return-route.ts).
//
// What the groups refuse of it is not dropped without a word, as what strangers send is: the relay is told, and so tells its client at once. It is told
// "prohibited" (an ICMP error), which no guest that merely has nobody listening says (that is a reset): then there is no other address to try.
import { answerMark, relayMark } from '../kernel/interface-names.ts';
import type { Table } from './ruleset.ts';

const hex = (mark: number) => `0x${mark.toString(16)}`;

/** At the end of what a group refuses. Of UDP the relay learns it by what its call returns. */
export const told = [
  `meta mark & ${hex(relayMark)} == ${hex(relayMark)} meta nfproto ipv4 meta l4proto tcp reject with icmp net-prohibited`,
  `meta mark & ${hex(relayMark)} == ${hex(relayMark)} meta nfproto ipv6 meta l4proto tcp reject with icmpv6 admin-prohibited`,
];

/** Before anything is routed. */
export const tracked = `iifname @bridges ct direction reply ct mark & ${hex(relayMark)} == ${hex(relayMark)} meta mark set meta mark | ${hex(answerMark)}`;

export function relayed(table: Table): void {
  table.chain('relayed', null, [
    `ct mark set ct mark | ${hex(relayMark)}`,
    'ct state established,related accept',
    // nobody outside has a VM's address, whatever a datagram says
    'ip saddr @inside_4 oifname . ip saddr != @gateways_4 goto refused_network',
    'ip6 saddr @inside_6 oifname . ip6 saddr != @gateways_6 goto refused_network',
    'oifname . ip daddr vmap @entering_4',
    'oifname . ip6 daddr vmap @entering_6',
    'oifname vmap @standing',
  ]);
  table.chain('relay', 'type filter hook output priority 0; policy accept', [
    `meta mark & ${hex(relayMark)} == ${hex(relayMark)} jump relayed`,
  ]);
  // such an error is for the client, whose address the relay has: it stays here. Nothing else in here says these
  table.chain('telling', 'type route hook output priority -150; policy accept', [
    `icmp type destination-unreachable icmp code net-prohibited meta mark set meta mark | ${hex(answerMark)}`,
    `icmpv6 type destination-unreachable icmpv6 code admin-prohibited meta mark set meta mark | ${hex(answerMark)}`,
  ]);
}
