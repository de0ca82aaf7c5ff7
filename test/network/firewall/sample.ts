// Models for the tests and the bench: many networks and NICs, all different, with groups and egress policies.
import type { FirewallModel, FirewallNetwork, FirewallPort, SecurityGroup } from '../../../src/network/firewall/model.ts';

export const closed = { in: 'deny', out: 'allow' } as const;

export const empty: FirewallModel = {
  tracking: 'br_netfilter',
  uplink: null,
  networks: [],
  ports: [],
  groups: [],
  hostAccess: [],
};

export function network(name: string, some: Partial<FirewallNetwork> = {}): FirewallNetwork {
  return { name, bridge: name, kind: 'nat', subnets: [], gateways: [], spoofing: 'drop', linkLocal: 'drop', ...some };
}

export function port(name: string, some: Partial<FirewallPort> & { network: string }): FirewallPort {
  return { name, vm: name, interface: name, mac: '52:54:00:00:00:01', addresses: [], groups: [], egress: { kind: 'all' }, ...some };
}

export function group(name: string, some: Partial<SecurityGroup> = {}): SecurityGroup {
  return { name, rules: [], otherwise: closed, ...some };
}

/** @param networks each with its share of the ports; every port in two groups, every tenth with an egress policy */
export function large(networks: number, ports: number): FirewallModel {
  const groups = Array.from({ length: 20 }, (_, at) =>
    group(`group ${at}`, {
      rules: [
        { direction: 'in', protocol: 'tcp', ports: { from: 22, to: 22 }, remote: { kind: 'any' } },
        {
          direction: 'in',
          protocol: 'tcp',
          ports: { from: 8000 + at, to: 8100 + at },
          remote: { kind: 'group', group: `group ${(at + 1) % 20}` },
        },
        { direction: 'in', protocol: 'icmp', remote: { kind: 'cidr', cidr: '10.0.0.0/8' } },
      ],
    }),
  );
  return {
    tracking: 'br_netfilter',
    uplink: { interface: 'up', hostAddresses: ['192.168.7.1', 'fd77::1'] },
    networks: Array.from({ length: networks }, (_, at) =>
      network(`br${at}`, {
        kind: at % 3 === 0 ? 'nat' : at % 3 === 1 ? 'isolated' : 'routed',
        subnets: [`10.${at >> 8}.${at & 255}.0/24`, `fd00:0:0:${at.toString(16)}::/64`],
        gateways: [`10.${at >> 8}.${at & 255}.1`, `fd00:0:0:${at.toString(16)}::1`],
      }),
    ),
    ports: Array.from({ length: ports }, (_, at) => {
      const net = at % networks;
      const host = 2 + Math.floor(at / networks);
      return port(`tap${at}`, {
        network: `br${net}`,
        mac: `52:54:00:00:${byte(at >> 8)}:${byte(at & 255)}`,
        addresses: [`10.${net >> 8}.${net & 255}.${host}`, `fd00:0:0:${net.toString(16)}::${host.toString(16)}`],
        groups: [`group ${at % 20}`, `group ${(at + 7) % 20}`],
        egress: at % 10 === 0 ? { kind: 'listed', cidrs: ['203.0.113.0/24'], domains: [`name${at % 50}.example`] } : { kind: 'all' },
      });
    }),
    groups,
    hostAccess: [],
  };
}

function byte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
