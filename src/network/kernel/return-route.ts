// How answers of guests get back to the relays of forwards, which speak under their clients' addresses: what bears the mark of such an answer
// is taken in by the namespace itself, whoever it is for. For a shell that is given `ip`; repeatable.
import { answerMark, answerRoutes } from './interface-names.ts';

const mark = `0x${answerMark.toString(16)}/0x${answerMark.toString(16)}`;

export const answerWay = `
way() {
  "$1" "$2" route replace local default dev lo table ${answerRoutes} || return
  "$1" "$2" rule show | grep -q 'fwmark ${mark} ' || "$1" "$2" rule add fwmark ${mark} lookup ${answerRoutes}
}
way "$1" -4 || exit
# where there is any
[ ! -e /proc/net/if_inet6 ] || way "$1" -6
`;
