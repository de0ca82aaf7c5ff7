// Which way this kernel follows connections between ports of one bridge. Either is enough: br_netfilter shows bridged packets to the inet family, which
// follows connections everywhere; nf_conntrack_bridge follows them in the bridge family (most distributions load it by themselves, in a user's namespace
// too; some kernels are built without it).
import { VivError } from '../../contract/errors.ts';
import type { Tracking } from './model.ts';
import { tableName } from './names.ts';

/** For `nft --check --file -`: taken where the bridge family follows connections. */
export const bridgeTrackingProbe = `add table bridge ${tableName}_probe
add chain bridge ${tableName}_probe probe
add rule bridge ${tableName}_probe probe ct state established accept
`;

/** Is there where br_netfilter is, and says 1 there (as it does in a new namespace) or is made to by the bridge's own nf_call_iptables. */
export const brNetfilterFile = '/proc/sys/net/bridge/bridge-nf-call-iptables';

export function trackingFrom(found: { readonly brNetfilter: boolean; readonly bridge: boolean }): Tracking {
  if (found.brNetfilter) return 'br_netfilter';
  if (found.bridge) return 'bridge';
  throw new VivError(
    'unsupported',
    'this kernel cannot follow connections on a bridge, so VMs’ networks cannot be guarded: as root, run modprobe br_netfilter',
  );
}
