// The model, parsed: every address, interface and reference is valid from here on.
import { VivError } from '../../contract/errors.ts';
import { type Address, address, isLinkLocal, linkLocal, mac, type Subnet, subnet } from './address.ts';
import type { FirewallModel, FirewallNetwork, FirewallPort, GroupRule, PortRange, SecurityGroup } from './model.ts';
import { quoted } from './names.ts';

export interface NetworkFacts extends Omit<FirewallNetwork, 'subnets' | 'gateways' | 'bridge' | 'outside'> {
  /** Quoted. */
  readonly bridge: string;
  readonly outside: string | null;
  readonly subnets: readonly Subnet[];
  readonly gateways: readonly Address[];
}

export interface PortFacts extends Omit<FirewallPort, 'addresses' | 'network' | 'interface'> {
  /** Quoted. */
  readonly interface: string;
  readonly network: NetworkFacts;
  /** Sorted names of existing groups. */
  readonly groups: readonly string[];
  /** Routable ones. */
  readonly addresses: readonly Address[];
  /** Those and the link-local ones. */
  readonly own: readonly Address[];
}

export interface Facts extends Omit<FirewallModel, 'networks' | 'ports' | 'uplink' | 'groups'> {
  readonly networks: readonly NetworkFacts[];
  /** The same array as long as networks and ports are the same. */
  readonly ports: readonly PortFacts[];
  readonly groups: ReadonlyMap<string, SecurityGroup>;
  /** Quoted; null: there is none. */
  readonly uplink: string | null;
  readonly hostAddresses: readonly Address[];
  /** Each combination of groups that some port has. */
  readonly combinations: readonly (readonly string[])[];
  /** Ports by group name, and by VM. */
  readonly members: Readonly<Record<'group' | 'vm', ReadonlyMap<string, readonly PortFacts[]>>>;
}

export function factsOf(model: FirewallModel): Facts {
  const groups = byName(model.groups, 'security group');
  const places = placesOf(model);
  const uplink = model.uplink && quoted(model.uplink.interface, 'the uplink');
  const hostAddresses = (model.uplink?.hostAddresses ?? []).map((text) => address(text, 'an address of the host'));
  for (const [group, ports] of places.members.group) {
    if (!groups.has(group)) {
      throw new VivError(
        'invalid',
        `port ${JSON.stringify(ports[0]?.name)} is in security group ${JSON.stringify(group)}, which does not exist`,
      );
    }
  }
  for (const { name, rules } of model.groups) for (const rule of rules) checkRule(rule, `a rule of security group ${JSON.stringify(name)}`);
  return { ...model, ...places, groups, uplink, hostAddresses };
}

/** Also of groups without members. */
function checkRule({ ports, remote }: GroupRule, what: string): void {
  if (ports) portText(ports, what);
  if (remote.kind === 'cidr') subnet(remote.cidr, `the remote of ${what}`);
}

type Places = Pick<Facts, 'networks' | 'ports' | 'members' | 'combinations'>;

/** Most changes do not concern networks and ports, which are the bulk of the model: the last results are cached. */
const lastPlaces: { text: string; places: Places }[] = [];
const placesTexts = new WeakMap<FirewallModel, string>();

/** Networks and ports of a model as text. */
export function placesText(model: FirewallModel): string {
  const known = placesTexts.get(model) ?? JSON.stringify([model.networks, model.ports]);
  placesTexts.set(model, known);
  return known;
}

function placesOf(model: FirewallModel): Places {
  const text = placesText(model);
  const known = lastPlaces.find((each) => each.text === text);
  if (known) return known.places;
  const networks = byName(model.networks.map(networkFacts), 'network');
  const ports = [
    ...byName(
      model.ports.map((port) => portFacts(port, networks)),
      'port',
    ).values(),
  ];
  assertUnique(
    [...networks.values()]
      .flatMap(({ bridge, outside }) => (outside === null ? [bridge] : [bridge, outside]))
      .concat(ports.map((port) => port.interface)),
    'interface',
  );
  assertUnique(
    ports.flatMap((port) => port.addresses.map(({ text }) => text)),
    'address',
  );
  const members = { group: gathered(ports, (port) => port.groups), vm: gathered(ports, (port) => [port.vm]) };
  const combinations = [...new Map(ports.map(({ groups }) => [JSON.stringify(groups), groups])).values()];
  const places = { networks: [...networks.values()], ports, members, combinations };
  lastPlaces.unshift({ text, places });
  lastPlaces.length = Math.min(lastPlaces.length, 4);
  return places;
}

/** "80" or "8000-8010". */
export function portText({ from, to }: PortRange, what: string): string {
  const right = [from, to].every((port) => Number.isInteger(port) && port >= 1 && port <= 65535) && from <= to;
  if (!right) throw new VivError('invalid', `${what} has an invalid port range, ${from} to ${to}; ports are 1 to 65535 in ascending order`);
  return from === to ? `${from}` : `${from}-${to}`;
}

function networkFacts(network: FirewallNetwork): NetworkFacts {
  const what = `network ${JSON.stringify(network.name)}`;
  return {
    ...network,
    bridge: quoted(network.bridge, `the bridge of ${what}`),
    outside: network.outside === undefined ? null : quoted(network.outside, `the bridge uplink of ${what}`),
    subnets: network.subnets.map((text) => subnet(text, `a subnet of ${what}`)),
    gateways: network.gateways.map((text) => address(text, `a gateway of ${what}`)),
  };
}

function portFacts(port: FirewallPort, networks: ReadonlyMap<string, NetworkFacts>): PortFacts {
  const what = `port ${JSON.stringify(port.name)}`;
  const network = networks.get(port.network);
  if (!network) throw new VivError('invalid', `${what} is on network ${JSON.stringify(port.network)}, which does not exist`);
  const hardware = mac(port.mac, `the MAC of ${what}`);
  const addresses = port.addresses.map((text) => address(text, `an address of ${what}`));
  const local = linkLocal(hardware);
  return {
    ...port,
    interface: quoted(port.interface, `the interface of ${what}`),
    network,
    mac: hardware,
    groups: [...new Set(port.groups)].sort(),
    // link-local addresses are not routed
    addresses: addresses.filter((each) => !isLinkLocal(each)),
    own: [...addresses.filter(({ text }) => text !== local.text), local],
  };
}

function byName<T extends { readonly name: string }>(things: readonly T[], what: string): Map<string, T> {
  assertUnique(
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

function assertUnique(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new VivError('invalid', `the firewall's model has the ${what} ${name} twice`);
    seen.add(name);
  }
}
