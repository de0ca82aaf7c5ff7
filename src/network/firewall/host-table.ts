// The nftables table on the host, where the uplink leads through it: guests do not reach the host, the outside does not reach guests, and outgoing packets
// get the host's address. Pure.
import { createHash } from 'node:crypto';
import type { HostAccess } from '../../contract/host-access.ts';
import { formatPorts } from '../../contract/security-group-rule.ts';

export interface HostRules {
  readonly table: string;
  /** The host's end of the uplink. */
  readonly uplink: string;
  /** Addresses of the namespace's end. */
  readonly addresses: readonly string[];
  /** Subnets whose VMs the outside reaches directly. */
  readonly routed: readonly string[];
  /** What of the host VMs may reach; the inet table in the namespace decides which VMs. */
  readonly open: readonly HostAccess[];
}

const accepting = ({ protocol, ports, address }: HostAccess): string =>
  `${address === null ? '' : `${family(address)} daddr ${address} `}${protocol} dport ${formatPorts(ports)}`;

const family = (address: string): string => (address.includes(':') ? 'ip6' : 'ip');

/** Arguments of nft whose output has the digest of the loaded rules. */
export const digestArguments = (table: string): string[] => ['list', 'chain', 'inet', table, 'applied'];

/** Of the rules as hostRules() makes them. */
export const digestOf = (rules: string): string => /comment "([0-9a-f]{32})"/.exec(rules)?.[1] ?? '';

export function hostRules(desired: HostRules): string {
  const chains = chainsOf(desired);
  const digest = createHash('sha256').update(chains.join('\n')).digest('hex').slice(0, 32);
  return [
    `table inet ${desired.table}`,
    `delete table inet ${desired.table}`,
    `table inet ${desired.table} {`,
    ...chains,
    // No packet gets here: it has the digest of all other chains.
    '  chain applied {',
    `    counter comment "${digest}"`,
    '  }',
    '}',
    '',
  ].join('\n');
}

function chainsOf({ uplink, addresses, routed, open }: HostRules): string[] {
  return [
    '  chain input {',
    '    type filter hook input priority filter; policy accept;',
    `    iifname "${uplink}" ct state established,related accept`,
    `    iifname "${uplink}" icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`,
    ...[...new Set(open.map(accepting))].map((rule) => `    iifname "${uplink}" ${rule} accept`),
    `    iifname "${uplink}" counter drop`,
    '  }',
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    `    iifname "${uplink}" accept`,
    `    oifname "${uplink}" ct state established,related accept`,
    ...routed.map((subnet) => `    oifname "${uplink}" ${family(subnet)} daddr ${subnet} accept`),
    `    oifname "${uplink}" counter drop`,
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    ...addresses.map((address) => `    oifname != "${uplink}" ${family(address)} saddr ${address} masquerade`),
    '  }',
  ];
}
