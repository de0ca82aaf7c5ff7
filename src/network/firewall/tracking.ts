// How this kernel tracks connections between ports of one bridge. One of two is enough: br_netfilter passes bridged packets to the inet family, which tracks
// all connections; nf_conntrack_bridge tracks them in the bridge family (usually loaded on demand, in a user's namespace as well; some kernels are built
// without it).
import { VivError } from '../../contract/errors.ts';
import type { Tracking } from './model.ts';
import { tableName } from './names.ts';

/** For `nft --check --file -`: accepted where the bridge family has conntrack. */
export const bridgeTrackingProbe = `add table bridge ${tableName}_probe
add chain bridge ${tableName}_probe probe
add rule bridge ${tableName}_probe probe ct state established accept
`;

/** Exists where br_netfilter is loaded; 1 (the default of a new namespace) turns it on. */
export const brNetfilterFile = '/proc/sys/net/bridge/bridge-nf-call-iptables';

export function trackingFrom(found: { readonly brNetfilter: boolean; readonly bridge: boolean }): Tracking {
  if (found.brNetfilter) return 'br_netfilter';
  if (found.bridge) return 'bridge';
  throw new VivError(
    'unsupported',
    'this kernel does not track connections on a bridge, which the firewall of the networks needs; as root, run: modprobe br_netfilter',
  );
}
