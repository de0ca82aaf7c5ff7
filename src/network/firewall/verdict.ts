// Final verdicts. Each is counted for its port and logged to the NFLOG group (flow/nflog.ts reads it); logging is rate-limited, counting is not.
import type { FlowVerdict } from '../../contract/flow.ts';
import { logGroup } from './names.ts';

/** Log prefixes after "viv ", with what they mean. */
export const verdicts = {
  accept: 'accepted',
  'drop spoof': 'the source address is forged, or only the network itself may send this',
  'drop in': 'no rule of the receiver’s security groups allows it',
  'drop out': 'no rule of the sender’s security groups allows it',
  'drop egress': 'the sender’s egress policy does not list the destination',
  'drop host': 'guests do not reach the host',
  'drop network': 'there is no route from that network to this one',
  'drop link-local': 'guests do not reach link-local addresses of the host’s network',
} as const satisfies Readonly<Record<FlowVerdict, string>>;

export const accepted = log('accept', 500).concat('accept');

/** @param counters rules `KEY @SET` with a set whose elements count */
export function dropped(verdict: FlowVerdict, ...counters: readonly string[]): string[] {
  return [...counters, ...log(verdict, 100), 'drop'];
}

function log(verdict: FlowVerdict, perSecond: number): string[] {
  return [`limit rate ${perSecond}/second burst ${perSecond * 2} packets log prefix "viv ${verdict}" group ${logGroup} snaplen 128`];
}
