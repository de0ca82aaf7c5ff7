// A model that uses everything. Its rules identify this version's way of writing rules (rules.ts); it is used for nothing else.
import type { FirewallModel } from './model.ts';

export const specimen: FirewallModel = {
  tracking: 'bridge',
  uplink: { interface: 'up', hostAddresses: ['192.0.2.1', '2001:db8::1'] },
  networks: (['nat', 'isolated', 'routed', 'bridged'] as const).map((kind, at) => ({
    name: kind,
    kind,
    bridge: `br${at}`,
    subnets: kind === 'bridged' ? [] : [`198.51.${at}.0/24`, `2001:db8:${at}::/64`],
    gateways: kind === 'bridged' ? [] : [`198.51.${at}.1`, `2001:db8:${at}::1`],
    ...(kind === 'bridged' ? { outside: 'outside' } : {}),
    spoofing: kind === 'routed' ? 'allow' : 'drop',
    linkLocal: kind === 'routed' ? 'allow' : 'drop',
    capacityBytesPerSecond: 1_000_000,
  })),
  ports: (['nat', 'isolated', 'routed', 'bridged'] as const).map((network, at) => ({
    name: network,
    vm: network,
    network,
    interface: `tap${at}`,
    mac: `52:54:00:00:00:0${at}`,
    addresses: network === 'bridged' ? [] : [`198.51.${at}.2`, `2001:db8:${at}::2`],
    groups: ['group'],
    egress:
      at === 0 ? { kind: 'all' } : at === 1 ? { kind: 'none' } : { kind: 'listed', cidrs: ['203.0.113.0/24'], domains: ['example.org'] },
    trunk: network === 'isolated',
  })),
  groups: [
    {
      name: 'group',
      otherwise: { in: 'deny', out: 'deny' },
      rules: (['in', 'out'] as const).flatMap((direction) => [
        { direction, protocol: 'tcp', ports: { from: 1, to: 2 }, remote: { kind: 'any' } },
        { direction, protocol: 'udp', remote: { kind: 'cidr', cidr: '203.0.113.0/24' } },
        { direction, protocol: 'icmp', remote: { kind: 'vm', vm: 'nat' } },
        { direction, protocol: 'any', remote: { kind: 'group', group: 'group' } },
      ]),
    },
  ],
  hostAccess: [{ network: 'nat', protocol: 'tcp', ports: { from: 1, to: 1 } }],
};
