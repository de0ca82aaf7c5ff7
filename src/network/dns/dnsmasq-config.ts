// What the dnsmasqs of the networks are given: DHCP, router advertisements and DNS, made from what is in the store. Pure.
import { join } from 'node:path';
import { formatAddress, formatSubnet, subnetOf } from '../address/address.ts';
import { domainLines } from '../firewall/egress.ts';
import type { FirewallModel } from '../firewall/model.ts';
import { domain, fullName } from '../kernel/interface-names.ts';
import { type Desired, leadsOut, type NetworkSpec, type PortSpec } from '../model.ts';

export interface DnsFiles {
  /** What it is started with: another text means another process. */
  readonly config: string;
  readonly hosts: string;
  readonly reservations: string;
}

/** One without addresses of its own has nobody to ask in it. */
export const isServed = ({ ipv4, ipv6 }: NetworkSpec): boolean => ipv4 !== null || ipv6 !== null;

interface Surroundings {
  /** Where a network's files are. */
  readonly folderOf: (network: string) => string;
  /** Name servers that other names are asked of. */
  readonly servers: readonly string[];
  /** Whom it runs as. */
  readonly user: readonly [string, string];
}

/** What the dnsmasq of each network is given. Pure. @param model has the names whose addresses the firewall is to know */
export function dnsFilesFor({ networks, ports }: Desired, model: FirewallModel, surroundings: Surroundings): Map<string, DnsFiles> {
  const served = networks.filter(isServed);
  const [portsOf, guardedOf, nicsOf] = [
    Map.groupBy(ports, ({ network }) => network),
    Map.groupBy(model.ports, ({ network }) => network),
    Map.groupBy(ports, ({ owner }) => owner),
  ];
  const outward = new Set(served.filter(leadsOut).map(({ name }) => name));
  return new Map(
    served.map((network) => {
      const own = portsOf.get(network.name) ?? [];
      const others = own.flatMap(({ owner }) => nicsOf.get(owner) ?? []).filter((nic) => nic.network !== network.name);
      const foreign = new Set(others.map((nic) => nic.network).filter((name) => served.some((one) => one.name === name)));
      const aside = outward.has(network.name) ? [] : own.filter(({ owner }) => nicsOf.get(owner)?.some((nic) => outward.has(nic.network)));
      const files = dnsFiles(network, own, {
        ...{ folder: surroundings.folderOf(network.name), servers: surroundings.servers, user: surroundings.user },
        domains: domainLines(guardedOf.get(network.name) ?? []),
        foreign: [...foreign].flatMap((name) => portsOf.get(name) ?? []),
        aside: new Set(aside.map(({ mac }) => mac)),
      });
      return [network.name, files] as const;
    }),
  );
}

interface Serving {
  readonly folder: string;
  readonly servers: readonly string[];
  readonly user: readonly [string, string];
  /** Lines for the names whose addresses the firewall is to know. */
  readonly domains: readonly string[];
  /** NICs in other networks that VMs of this one are in as well: those ask one name server for all of them. */
  readonly foreign: readonly PortSpec[];
  /** MAC addresses of NICs whose VMs have another one that leads out: they ask the name server there, which knows this network's names too. */
  readonly aside: ReadonlySet<string>;
}

/** What a dnsmasq is given. Pure. */
export function dnsFiles(
  network: NetworkSpec,
  ports: readonly PortSpec[],
  { folder, servers, user, domains, foreign, aside }: Serving,
): DnsFiles {
  const { name, bridge, kind, ipv4, ipv6 } = network;
  const way = kind !== 'isolated';
  const subnet = (text: string) => subnetOf(text);
  const gateway = (text: string) => text.slice(0, text.indexOf('/'));
  const config = [
    `pid-file=${join(folder, 'pid')}`,
    `interface=${bridge}`,
    ...['bind-dynamic', 'except-interface=lo', 'no-hosts', 'no-resolv', 'no-poll', 'domain-needed', 'bogus-priv'],
    `user=${user[0]}`,
    `group=${user[1]}`,
    `addn-hosts=${join(folder, 'hosts')}`,
    `domain=${name}.${domain}`,
    `local=/${domain}/`,
    ...(way ? servers.map((server) => `server=${server}`) : []),
    'cache-size=1000',
    ...domains,
    ...['leasefile-ro', 'dhcp-authoritative', 'no-ping', 'quiet-dhcp', 'quiet-dhcp6', 'quiet-ra'],
    `dhcp-hostsfile=${join(folder, 'reservations')}`,
    `dhcp-option=option:domain-search,${name}.${domain}`,
    // Always the same, so that no dnsmasq is started anew for a NIC.
    ...(way ? [] : ['dns-server', 'domain-name', 'domain-search'].map((option) => `dhcp-option=tag:aside,option:${option}`)),
    ...(ipv4 === null
      ? []
      : [`dhcp-range=${firstOf(subnet(ipv4))},static,${maskOf(subnet(ipv4).prefix)},12h`, ...(way ? [] : ['dhcp-option=option:router'])]),
    ...(ipv6 === null
      ? []
      : [
          'enable-ra',
          // Guests that know no DHCPv6 make the same address of their MAC themselves.
          `dhcp-range=${firstOf(subnet(ipv6))},static,slaac,64,12h`,
          `dhcp-option=option6:dns-server,[${gateway(ipv6)}]`,
          `dhcp-option=option6:domain-search,${name}.${domain}`,
          `ra-param=${bridge},60,${way ? 1800 : 0}`,
        ]),
  ];
  const taken = new Set(ports.map(({ vm }) => vm));
  const lines = (text: readonly string[]) => text.map((line) => `${line}\n`).join('');
  return {
    config: lines(config),
    hosts: lines([...ports, ...foreign].flatMap((port) => hostLines(port, port.network === name || !taken.has(port.vm)))),
    reservations: lines(
      ports.map(({ mac, ipv4: own4, ipv6: own6 }) =>
        [mac, ...(aside.has(mac) ? ['set:aside'] : []), ...(own4 === null ? [] : [own4]), ...(own6 === null ? [] : [`[${own6}]`])].join(
          ',',
        ),
      ),
    ),
  };
}

/** @param alone the VM's name alone leads to it as well */
const hostLines = ({ vm, network, ipv4, ipv6 }: PortSpec, alone: boolean): string[] =>
  vm === null
    ? []
    : [ipv4, ipv6].flatMap((address) => (address === null ? [] : [`${address} ${fullName(vm, network)}${alone ? ` ${vm}` : ''}`]));

const firstOf = (subnet: ReturnType<typeof subnetOf>): string => formatSubnet(subnet).split('/')[0] as string;
const maskOf = (prefix: number): string => formatAddress(4, (2n ** 32n - 1n) ^ (2n ** BigInt(32 - prefix) - 1n));
