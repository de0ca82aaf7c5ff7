// The table of rules that the host itself gets where the way out leads through it: guests do not reach the host, strangers do not reach
// guests, and what goes out bears the host's address. Pure.
import { createHash } from 'node:crypto';
import type { HostAccess } from '../../contract/host-access.ts';
import { formatPorts } from '../../contract/security-group-rule.ts';

export interface HostRules {
  readonly table: string;
  /** The host's end of the way out. */
  readonly uplink: string;
  /** The namespace's own addresses at its end. */
  readonly addresses: readonly string[];
  /** Subnets whose VMs the outside reaches by their own addresses. */
  readonly routed: readonly string[];
  /** What of the host VMs may reach all the same; which VMs, the rules inside say. */
  readonly open: readonly HostAccess[];
}

const accepting = ({ protocol, ports, address }: HostAccess): string =>
  `${address === null ? '' : `${family(address)} daddr ${address} `}${protocol} dport ${formatPorts(ports)}`;

const family = (address: string): string => (address.includes(':') ? 'ip6' : 'ip');

/** The program's arguments whose output says whether the rules are there: it has their digest in it. */
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
    // No packet meets it: it says what all the others are.
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
