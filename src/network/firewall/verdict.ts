// Where packets end. Each verdict is counted for the port that it concerns and told to the NFLOG group, from where flow.ts reads it; telling is
// limited, counting is not.
import type { FlowVerdict } from '../../contract/flow.ts';
import { logGroup } from './names.ts';

/** What a log line's prefix says after "viv ". */
export const verdicts = {
  accept: 'accepted',
  'drop spoof': 'a forged sender, or what only the network itself may send',
  'drop in': 'no rule of its groups lets it in',
  'drop out': 'no rule of its groups lets it out',
  'drop egress': 'its egress policy does not list the destination',
  'drop host': 'the host and its services are not for guests',
  'drop network': 'no way from that network to this one',
} as const satisfies Readonly<Record<FlowVerdict, string>>;

export const accepted = log('accept', 500).concat('accept');

/** @param counters one rule each: `KEY @SET`, a set whose elements count */
export function refused(verdict: FlowVerdict, ...counters: readonly string[]): string[] {
  return [...counters, ...log(verdict, 100), 'drop'];
}

function log(verdict: FlowVerdict, perSecond: number): string[] {
  return [`limit rate ${perSecond}/second burst ${perSecond * 2} packets log prefix "viv ${verdict}" group ${logGroup} snaplen 128`];
}
