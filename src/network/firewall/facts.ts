// The model, read: every address, interface and reference is right from here on, or a VivError says which is not.
import { VivError } from '../../contract/errors.ts';
import { type Address, address, isLinkLocal, linkLocal, mac, type Subnet, subnet } from './address.ts';
import type { FirewallModel, FirewallNetwork, FirewallPort, PortRange, SecurityGroup } from './model.ts';
import { named, quoted } from './names.ts';

export interface NetworkFacts extends Omit<FirewallNetwork, 'subnets' | 'gateways' | 'bridge' | 'outside'> {
  /** Quoted. */
  readonly bridge: string;
  readonly outside: string | null;
  readonly subnets: readonly Subnet[];
  readonly gateways: readonly Address[];
}

export interface PortFacts extends Omit<FirewallPort, 'addresses' | 'groups' | 'network' | 'interface'> {
  /** What its counters begin with. */
  readonly id: string;
  /** Quoted. */
  readonly interface: string;
  readonly network: NetworkFacts;
  readonly groups: readonly SecurityGroup[];
  /** Known to the network; routed to it. */
  readonly addresses: readonly Address[];
  /** addresses and the link-local one. */
  readonly own: readonly Address[];
}

export interface Facts extends Omit<FirewallModel, 'networks' | 'ports' | 'uplink'> {
  readonly networks: readonly NetworkFacts[];
  readonly ports: readonly PortFacts[];
  /** Quoted; null when nothing leads out. */
  readonly uplink: string | null;
  readonly hostAddresses: readonly Address[];
  /** Who is in a group, by its name; whose ports a machine's are, by its. */
  readonly members: Readonly<Record<'group' | 'machine', ReadonlyMap<string, readonly PortFacts[]>>>;
}

export function factsOf(model: FirewallModel): Facts {
  const networks = byName(model.networks.map(networkFacts), 'network');
  const groups = byName(model.groups, 'security group');
  const ports = byName(
    model.ports.map((port) => portFacts(port, networks, groups)),
    'port',
  );
  once(
    [...networks.values()]
      .flatMap(({ bridge, outside }) => (outside === null ? [bridge] : [bridge, outside]))
      .concat([...ports.values()].map((port) => port.interface)),
    'interface',
  );
  once(
    [...ports.values()].flatMap((port) => port.addresses.map(({ text }) => text)),
    'address',
  );
  const uplink = model.uplink && quoted(model.uplink.interface, 'the way out of the namespace');
  const hostAddresses = (model.uplink?.hostAddresses ?? []).map((text) => address(text, 'an address of the host'));
  const all = [...ports.values()];
  const members = {
    group: gathered(all, (port) => port.groups.map((group) => group.name)),
    machine: gathered(all, (port) => [port.machine]),
  };
  return { ...model, networks: [...networks.values()], ports: all, uplink, hostAddresses, members };
}

/** "80" or "8000-8010". */
export function portText({ from, to }: PortRange, what: string): string {
  const right = [from, to].every((port) => Number.isInteger(port) && port >= 1 && port <= 65535) && from <= to;
  if (!right) throw new VivError('invalid', `${what} has no valid ports: ${from} to ${to}; ports are 1 to 65535, the first one first`);
  return from === to ? `${from}` : `${from}-${to}`;
}

function networkFacts(network: FirewallNetwork): NetworkFacts {
  const what = `network ${JSON.stringify(network.name)}`;
  return {
    ...network,
    bridge: quoted(network.bridge, `the bridge of ${what}`),
    outside: network.outside === undefined ? null : quoted(network.outside, `the way outside of ${what}`),
    subnets: network.subnets.map((text) => subnet(text, `a subnet of ${what}`)),
    gateways: network.gateways.map((text) => address(text, `a gateway of ${what}`)),
  };
}

function portFacts(port: FirewallPort, networks: ReadonlyMap<string, NetworkFacts>, groups: ReadonlyMap<string, SecurityGroup>): PortFacts {
  const what = `port ${JSON.stringify(port.name)}`;
  const network = networks.get(port.network);
  if (!network) throw new VivError('invalid', `${what} is on network ${JSON.stringify(port.network)}, which is not there`);
  const hardware = mac(port.mac, `the MAC of ${what}`);
  const addresses = port.addresses.map((text) => address(text, `an address of ${what}`));
  const local = linkLocal(hardware);
  const belongs = [...new Set(port.groups)].sort().map((name) => {
    const group = groups.get(name);
    if (!group) throw new VivError('invalid', `${what} is in security group ${JSON.stringify(name)}, which is not there`);
    return group;
  });
  return {
    ...port,
    id: named('p', port.name),
    interface: quoted(port.interface, `the interface of ${what}`),
    network,
    mac: hardware,
    groups: belongs,
    // a link-local address is true on its own bridge only, so nothing is routed to it
    addresses: addresses.filter((each) => !isLinkLocal(each)),
    own: [...addresses.filter(({ text }) => text !== local.text), local],
  };
}

function byName<T extends { readonly name: string }>(things: readonly T[], what: string): Map<string, T> {
  once(
    things.map(({ name }) => name),
    what,
  );
  return new Map(things.map((thing) => [thing.name, thing]));
}

function gathered(ports: readonly PortFacts[], names: (port: PortFacts) => readonly string[]): Map<string, PortFacts[]> {
  const found = new Map<string, PortFacts[]>();
  for (const port of ports) {
    for (const name of names(port)) {
      const list = found.get(name);
      if (list) list.push(port);
      else found.set(name, [port]);
    }
  }
  return found;
}

function once(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new VivError('invalid', `two of the firewall's have the same ${what}: ${name}`);
    seen.add(name);
  }
}
