// Configuration, reservations and host names for each network's dnsmasq. Pure.
import { join } from 'node:path';
import { formatAddress, formatSubnet, subnetOf } from '../address/address.ts';
import { domainLines } from '../firewall/egress.ts';
import type { FirewallModel } from '../firewall/model.ts';
import { domain, fullName } from '../kernel/interface-names.ts';
import { type Desired, hasUplink, type NetworkSpec, type PortSpec } from '../model.ts';

export interface DnsFiles {
  /** It is restarted when this changes. */
  readonly config: string;
  /** Read again at SIGHUP, as the reservations are. */
  readonly hosts: string;
  readonly reservations: string;
}

/** A network without subnets has no DHCP or DNS. */
export const isServed = ({ ipv4, ipv6 }: NetworkSpec): boolean => ipv4 !== null || ipv6 !== null;

interface Environment {
  /** Folder of a network's files. */
  readonly folderOf: (network: string) => string;
  /** Name servers for all other names. */
  readonly servers: readonly string[];
  /** User and group that it runs as. */
  readonly user: readonly [string, string];
}

/** Files for each network's dnsmasq. @param model has the domain names whose addresses the firewall needs */
export function dnsFilesFor({ networks, ports }: Desired, model: FirewallModel, environment: Environment): Map<string, DnsFiles> {
  const served = networks.filter(isServed);
  const [portsOf, modelPortsOf, nicsOf] = [
    Map.groupBy(ports, ({ network }) => network),
    Map.groupBy(model.ports, ({ network }) => network),
    Map.groupBy(ports, ({ owner }) => owner),
  ];
  const withUplink = new Set(served.filter(hasUplink).map(({ name }) => name));
  return new Map(
    served.map((network) => {
      const own = portsOf.get(network.name) ?? [];
      const others = own.flatMap(({ owner }) => nicsOf.get(owner) ?? []).filter((nic) => nic.network !== network.name);
      const foreign = new Set(others.map((nic) => nic.network).filter((name) => served.some((one) => one.name === name)));
      const aside = withUplink.has(network.name)
        ? []
        : own.filter(({ owner }) => nicsOf.get(owner)?.some((nic) => withUplink.has(nic.network)));
      const files = dnsFiles(network, own, {
        ...{ folder: environment.folderOf(network.name), servers: environment.servers, user: environment.user },
        domains: domainLines(modelPortsOf.get(network.name) ?? []),
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
  /** Lines for the domain names whose addresses the firewall needs. */
  readonly domains: readonly string[];
  /** NICs in other networks of VMs that are in this one as well: such a VM asks one name server for all of its networks. */
  readonly foreign: readonly PortSpec[];
  /** MAC addresses of NICs whose VM has another NIC with an uplink: it asks the name server there, which has this network's names too. */
  readonly aside: ReadonlySet<string>;
}

/** Files for one dnsmasq. */
export function dnsFiles(
  network: NetworkSpec,
  ports: readonly PortSpec[],
  { folder, servers, user, domains, foreign, aside }: Serving,
): DnsFiles {
  const { name, bridge, kind, ipv4, ipv6 } = network;
  const hasRouter = kind !== 'isolated';
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
    ...(hasRouter ? servers.map((server) => `server=${server}`) : []),
    'cache-size=1000',
    ...domains,
    // Names come from the hosts file only: a name in a lease would outlive its VM, and a guest could take another VM's.
    'dhcp-ignore-names',
    ...['leasefile-ro', 'dhcp-authoritative', 'no-ping', 'quiet-dhcp', 'quiet-dhcp6', 'quiet-ra'],
    `dhcp-hostsfile=${join(folder, 'reservations')}`,
    `dhcp-option=option:domain-search,${name}.${domain}`,
    // Independent of the NICs, so that no NIC causes a restart.
    ...(hasRouter ? [] : ['dns-server', 'domain-name', 'domain-search'].map((option) => `dhcp-option=tag:aside,option:${option}`)),
    ...(ipv4 === null
      ? []
      : [
          `dhcp-range=${firstOf(subnet(ipv4))},static,${maskOf(subnet(ipv4).prefix)},12h`,
          ...(hasRouter ? [] : ['dhcp-option=option:router']),
        ]),
    ...(ipv6 === null
      ? []
      : [
          'enable-ra',
          // Guests without DHCPv6 derive the same address from their MAC address (SLAAC).
          `dhcp-range=${firstOf(subnet(ipv6))},static,slaac,64,12h`,
          `dhcp-option=option6:dns-server,[${gateway(ipv6)}]`,
          `dhcp-option=option6:domain-search,${name}.${domain}`,
          `ra-param=${bridge},60,${hasRouter ? 1800 : 0}`,
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

/** @param alone whether the VM's short name resolves to it as well */
const hostLines = ({ vm, network, ipv4, ipv6 }: PortSpec, alone: boolean): string[] =>
  vm === null
    ? []
    : [ipv4, ipv6].flatMap((address) => (address === null ? [] : [`${address} ${fullName(vm, network)}${alone ? ` ${vm}` : ''}`]));

const firstOf = (subnet: ReturnType<typeof subnetOf>): string => formatSubnet(subnet).split('/')[0] as string;
const maskOf = (prefix: number): string => formatAddress(4, (2n ** 32n - 1n) ^ (2n ** BigInt(32 - prefix) - 1n));
