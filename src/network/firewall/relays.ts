// What the relays of forwards (forward/) send to guests: their packets bear a mark that only the namespace's own processes can set. They pass the
// receiving port's groups as routed ones do, under the client's address where the relay could keep it, else under the gateway's. The mark stays with
// the connection, and what a guest answers gets another one, by which it is taken in although it is for somebody outside (answer-way.ts).
import { answerMark, relayMark } from '../names.ts';
import type { Table } from './ruleset.ts';

const hex = (mark: number) => `0x${mark.toString(16)}`;

/** Before anything is routed. */
export const tracked = `iifname @bridges ct direction reply ct mark & ${hex(relayMark)} == ${hex(relayMark)} meta mark set meta mark | ${hex(answerMark)}`;

export function relayed(table: Table): void {
  table.chain('relayed', null, [
    `ct mark set ct mark | ${hex(relayMark)}`,
    'ct state established,related accept',
    // nobody outside has a machine's address, whatever a datagram says
    'ip saddr @inside_4 oifname . ip saddr != @gateways_4 goto refused_network',
    'ip6 saddr @inside_6 oifname . ip6 saddr != @gateways_6 goto refused_network',
    'oifname . ip daddr vmap @entering_4',
    'oifname . ip6 daddr vmap @entering_6',
    'oifname vmap @standing',
  ]);
  table.chain('relay', 'type filter hook output priority 0; policy accept', [
    `meta mark & ${hex(relayMark)} == ${hex(relayMark)} jump relayed`,
  ]);
}
