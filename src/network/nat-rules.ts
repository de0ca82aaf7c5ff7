// The rules of the namespace, as one script for nft that replaces those of before at once: who is let through to where, and the
// masquerade of networks with NAT. Pure.
import type { NetworkSpec, RulesInput } from './model.ts';

const table = 'inet viv_networks';

export function natRules({ networks, uplink, hostAddresses }: RulesInput): string {
  const bridges = (...kinds: NetworkSpec['kind'][]) =>
    networks.filter(({ kind }) => kinds.includes(kind)).map(({ bridge }) => `"${bridge}"`);
  const set = (names: readonly string[]) => `{ ${names.join(', ')} }`;
  const served = bridges('nat', 'isolated', 'routed');
  const outward = bridges('nat', 'routed');
  const family = (wanted: 4 | 6) => hostAddresses.filter((address) => address.includes(':') === (wanted === 6));
  const forward = [
    'ct state established,related accept',
    'ct state invalid drop',
    ...([4, 6] as const).flatMap((wanted) => {
      const addresses = family(wanted);
      return addresses.length === 0 ? [] : [`${wanted === 4 ? 'ip' : 'ip6'} daddr ${set(addresses)} counter drop`];
    }),
    ...(outward.length === 0
      ? []
      : [`iifname ${set(outward)} oifname "${uplink}" accept`, `iifname "${uplink}" oifname ${set(outward)} accept`]),
  ];
  const input = [
    'iifname "lo" accept',
    'ct state established,related accept',
    ...(served.length === 0
      ? []
      : [
          `iifname ${set(served)} meta l4proto { icmp, ipv6-icmp } accept`,
          `iifname ${set(served)} udp dport { 53, 67, 547 } accept`,
          `iifname ${set(served)} tcp dport 53 accept`,
        ]),
    `iifname "${uplink}" meta l4proto { icmp, ipv6-icmp } accept`,
  ];
  const masquerade = bridges('nat').length === 0 ? [] : [`iifname ${set(bridges('nat'))} oifname "${uplink}" masquerade`];
  const chain = (name: string, head: string, rules: readonly string[]) => [
    `  chain ${name} {`,
    `    ${head}`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
  return [
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...chain('forward', 'type filter hook forward priority filter; policy drop;', forward),
    ...chain('input', 'type filter hook input priority filter; policy drop;', input),
    ...chain('postrouting', 'type nat hook postrouting priority srcnat; policy accept;', masquerade),
    '}',
    '',
  ].join('\n');
}
