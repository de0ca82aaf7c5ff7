// The inet table: what the namespace routes, and what is addressed to the namespace itself.
//
//   track       marks packets of accepted connections (with br_netfilter: bridged frames as well)
//   input       guests reach DHCP and DNS on their own gateway and nothing else here; nobody else reaches anything
//   forward     by the kinds of network; the host's addresses and link-local ones are dropped; then the receiving port's security groups
//   relayed     packets of port forwards (relayed.ts): the receiving port's security groups
//   source_nat  source NAT of nat networks, at the uplink only
import { VivError } from '../../../contract/errors.ts';
import type { Address, Family } from '../address.ts';
import { address } from '../address.ts';
import { type Facts, type NetworkFacts, portText } from '../facts.ts';
import { addressSets, groupChain, groupChains } from '../groups.ts';
import { Table } from '../ruleset.ts';
import { writeShares } from '../shaping/shares.ts';
import { accepted, dropped } from '../verdict.ts';
import { markReplies, rejectRelayed, relayed } from './relayed.ts';

const ip = (family: Family) => (family === 4 ? 'ip' : 'ip6');

export function inetTable(facts: Facts): Table {
  const table = new Table('inet');
  table.lasting(facts.ports, 'places', (part) => {
    counters(part, facts);
    bridges(part, facts);
    groupsOfAddresses(part, facts);
  });
  table.chain('accepted', null, accepted);
  const bySender = ([4, 6] as const).map((family) => `${ip(family)} saddr @count_out_${family}`);
  table.chain('dropped_host', null, dropped('drop host', ...bySender));
  table.chain('dropped_link_local', null, dropped('drop link-local', ...bySender));
  table.chain('dropped_network', null, dropped('drop network', ...bySender));
  table.chain(
    'dropped_in',
    null,
    dropped('drop in', ...([4, 6] as const).map((family) => `${ip(family)} daddr @count_in_${family}`)).toSpliced(-1, 0, ...rejectRelayed),
  );
  table.chain('track', 'type filter hook prerouting priority -150; policy accept', [
    'ct state established,related meta mark set meta mark | 0x1',
    markReplies,
  ]);
  input(table, facts);
  forward(table, facts);
  relayed(table);
  writeShares(table, facts);
  if (facts.uplink !== null) masquerade(table, facts, facts.uplink);
  return table;
}

function counters(table: Table, { ports }: Facts): void {
  for (const kind of ['out', 'in']) {
    for (const family of [4, 6] as const) {
      const keys = ports.flatMap(({ addresses }) => addresses.filter((own) => own.family === family).map(({ text }) => text));
      table.set(`count_${kind}_${family}`, `type ipv${family}_addr; counter`, keys);
    }
  }
}

function groupsOfAddresses(table: Table, { ports }: Facts): void {
  for (const family of [4, 6] as const) {
    const entries = ports.flatMap(({ addresses, network, groups }) =>
      addresses.flatMap((own) =>
        own.family === family ? [[`${network.bridge} . ${own.text}`, `jump ${groupChain(groups, 'in') ?? 'accepted'}`] as const] : [],
      ),
    );
    table.map(`inbound_${family}`, `type ifname . ipv${family}_addr : verdict`, entries);
  }
}

function bridges(table: Table, { networks }: Facts): void {
  const of = (fits: (network: NetworkFacts) => boolean) => networks.filter(fits).map(({ bridge }) => bridge);
  table.set(
    'bridges',
    'type ifname',
    of(() => true),
  );
  table.set(
    'with_uplink',
    'type ifname',
    of(({ kind }) => kind === 'nat' || kind === 'routed'),
  );
  table.set(
    'routed',
    'type ifname',
    of(({ kind }) => kind === 'routed'),
  );
  table.set(
    'nat',
    'type ifname',
    of(({ kind }) => kind === 'nat'),
  );
  table.set(
    'unchecked',
    'type ifname',
    of(({ spoofing }) => spoofing === 'allow'),
  );
  table.set(
    'link_local',
    'type ifname',
    of(({ linkLocal }) => linkLocal === 'allow'),
  );
  table.set(
    'same_bridge',
    'type ifname . ifname',
    networks.map(({ bridge }) => `${bridge} . ${bridge}`),
  );
  for (const family of [4, 6] as const) {
    const subnets = networks.flatMap((network) => network.subnets).filter((net) => net.family === family);
    table.set(
      `inside_${family}`,
      `type ipv${family}_addr; flags interval`,
      subnets.map(({ text }) => text),
    );
  }
}

function input(table: Table, facts: Facts): void {
  for (const family of [4, 6] as const) {
    const own = ({ gateways }: NetworkFacts) => gateways.filter((gateway: Address) => gateway.family === family);
    table.set(
      `gateways_${family}`,
      `type ifname . ipv${family}_addr`,
      facts.networks.flatMap((network) => own(network).map(({ text }) => `${network.bridge} . ${text}`)),
    );
  }
  table.chain('input_guest', null, [
    'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report } accept',
    'meta l4proto igmp accept',
    'udp sport 68 udp dport 67 accept',
    'udp sport 546 udp dport 547 accept',
    ...([4, 6] as const).flatMap((family) => [
      `iifname . ${ip(family)} daddr @gateways_${family} meta l4proto { tcp, udp } th dport 53 accept`,
      `iifname . ${ip(family)} daddr @gateways_${family} ${family === 4 ? 'icmp type echo-request' : 'icmpv6 type echo-request'} accept`,
    ]),
    ...hostAccess(facts),
    'goto dropped_host',
  ]);
  table.chain('input', 'type filter hook input priority 0; policy accept', [
    'iifname "lo" accept',
    'ct state established,related accept',
    'iifname @bridges goto input_guest',
    'icmp type echo-request accept',
    'icmpv6 type { echo-request, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept',
    'udp dport { 68, 546 } accept',
    'drop',
  ]);
}

function forward(table: Table, facts: Facts): void {
  const host = addressSets(table, 'host', () => facts.hostAddresses);
  const fromHost = host.map(({ family, text }) => `oifname @nat ${ip(family)} saddr ${text} return`);
  groupChains(table, facts, 'in', 'goto accepted', 'dropped_in');
  table.chain('to_uplink', null, [
    ...hostAccess(facts),
    ...host.map(({ family, text }) => `${ip(family)} daddr ${text} goto dropped_host`),
    'iifname != @link_local ip daddr 169.254.0.0/16 goto dropped_link_local',
    'iifname != @link_local ip6 daddr fe80::/10 goto dropped_link_local',
    'iifname @with_uplink goto accepted',
    'goto dropped_network',
  ]);
  table.chain('from_uplink', null, [
    'ip saddr @inside_4 goto dropped_network',
    'ip6 saddr @inside_6 goto dropped_network',
    'oifname @routed return',
    ...fromHost,
    'goto dropped_network',
  ]);
  table.chain('from_guest', null, [
    'iifname . oifname @same_bridge return',
    'iifname @with_uplink oifname @routed return',
    'goto dropped_network',
  ]);
  table.chain('to_guest', null, [
    'iifname vmap @sources',
    'oifname . ip daddr vmap @inbound_4',
    'oifname . ip6 daddr vmap @inbound_6',
    'oifname @unchecked goto accepted',
    'oifname vmap @final',
    'accept',
  ]);
  // empty while the table is replaced, when the other one decides: see bridge.ts
  table.map(
    'final',
    'type ifname : verdict',
    facts.networks.map(({ bridge }) => [bridge, 'goto dropped_network'] as const),
  );
  const uplink = facts.uplink === null ? [] : [[facts.uplink, 'jump from_uplink'] as const];
  table.map('sources', 'type ifname : verdict', [...facts.networks.map(({ bridge }) => [bridge, 'jump from_guest'] as const), ...uplink]);
  table.chain('forward', 'type filter hook forward priority 0; policy accept', [
    // bridged: the bridge table decides
    'meta mark & 0x2 == 0x0 iifname @bridges accept',
    'ct state established,related accept',
    'oifname @bridges goto to_guest',
    ...(facts.uplink === null ? [] : [`iifname @bridges oifname ${facts.uplink} goto to_uplink`]),
    'goto dropped_network',
  ]);
}

function hostAccess(facts: Facts): string[] {
  return facts.hostAccess.flatMap((access) => {
    const network = facts.networks.find(({ name }) => name === access.network);
    if (!network) {
      throw new VivError('invalid', `a host access rule is for network ${JSON.stringify(access.network)}, which is not there`);
    }
    const where = access.address === undefined ? null : address(access.address, 'the address of a host access rule');
    const ports = `${access.protocol} dport ${portText(access.ports, 'a host access rule')}`;
    const families = where
      ? [`${ip(where.family)} daddr ${where.text}`]
      : ([4, 6] as const).flatMap((family) => [`${ip(family)} daddr @host_${family}`]);
    return families.map((to) => `iifname ${network.bridge} ${to} ${ports} goto accepted`);
  });
}

function masquerade(table: Table, { networks }: Facts, uplink: string): void {
  for (const family of [4, 6] as const) {
    const subnets = networks.filter(({ kind }) => kind === 'nat').flatMap((network) => network.subnets);
    table.set(
      `nat_subnets_${family}`,
      `type ipv${family}_addr; flags interval`,
      subnets.filter((net) => net.family === family).map(({ text }) => text),
    );
  }
  table.chain('source_nat', 'type nat hook postrouting priority 100; policy accept', [
    `oifname ${uplink} ip saddr @nat_subnets_4 masquerade`,
    `oifname ${uplink} ip6 saddr @nat_subnets_6 masquerade`,
  ]);
}
