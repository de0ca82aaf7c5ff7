// The return route: replies of guests to relays, which send under their clients' addresses. Packets with the reply mark are delivered in the namespace
// itself, whatever their destination. A shell script with the path of `ip` as its argument. Repeatable.
import { replyMark, replyRouteTable } from './interface-names.ts';

const mark = `0x${replyMark.toString(16)}/0x${replyMark.toString(16)}`;

export const returnRouteScript = `
add_route() {
  "$1" "$2" route replace local default dev lo table ${replyRouteTable} || return
  "$1" "$2" rule show | grep -q 'fwmark ${mark} ' || "$1" "$2" rule add fwmark ${mark} lookup ${replyRouteTable}
}
add_route "$1" -4 || exit
# where the kernel has IPv6
[ ! -e /proc/net/if_inet6 ] || add_route "$1" -6
`;
